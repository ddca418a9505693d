"""Every source that a project declares, read from the same files that Dagster loads.

What a declaration must say is `declaration`'s.
"""

import functools
from pathlib import Path

from ml.places import declaration_files, declarations
from ml.sources.declaration import Source

_COMPONENT = "LandedSource"


def declared_sources(project: Path) -> tuple[Source, ...]:
    """The sources declared under `assets/defs/`, by name. Raises BadDeclaration, which names the file."""
    sources: list[Source] = []
    for file in declaration_files(project):
        sources += _declared_in(file, file.stat().st_mtime_ns)
    return tuple(sorted(sources, key=lambda source: source.name))


@functools.cache
def _declared_in(file: Path, changed_ns: int) -> tuple[Source, ...]:  # noqa: ARG001  part of the cache's key
    """Checking a declaration runs its SQL on no rows, 100 ms: done again only when its file has changed."""
    return tuple(Source.declare(attributes, str(file)) for attributes in declarations(file, _COMPONENT))

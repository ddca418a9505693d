"""Making raw again from the kept copies.

Taking in what has newly landed does not belong here.
"""

from collections.abc import Iterable, Iterator

from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources.declaration import Source
from ml.sources.taking import Intake, take_in


def rebuild_raw(
    workshop: Workshop, settings: Settings, sources: Iterable[Source], wait_s: float = 600
) -> tuple[Intake, ...]:
    """Drop the sources' raw rows and fill them again from the kept copies, each as of its first loaded_at.

    Raw then has the rows it had before. One turn; each source is one transaction, so a killed rebuild leaves
    whole sources. Raises KeptCopyDamaged, and FilesRefused when the declaration no longer admits a copy.
    """
    with workshop.turn(wait_s):
        return tuple(
            take_in(workshop, settings, source, (), anew=True).raise_failed()
            for source in looked_up_first(sources)
        )


def looked_up_first(sources: Iterable[Source]) -> Iterator[Source]:
    """The sources in an order in which each can be taken in."""
    waiting = {source.name: source for source in sources}
    while waiting:
        ready = [
            source
            for source in waiting.values()
            if not any(lookup.source in waiting for lookup in source.lookups if lookup.source != source.name)
        ]
        for source in ready or list(waiting.values()):
            yield waiting.pop(source.name)

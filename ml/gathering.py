"""Noting what a training set and a model are made from, at the moment it is certain.

What is noted is said in `provenance`; nothing is trained here.
"""

import platform
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, Generic

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.bundle import Bundle
from ml.canonical import digest
from ml.computed import Computed
from ml.declaration import ModelDeclaration
from ml.errors import NothingPublished
from ml.labelled_rows import E, Published
from ml.lake import published as lake
from ml.lake.batches import by_day
from ml.lake.workshop import Workshop
from ml.provenance import (
    FILE,
    DeclaredSource,
    Environment,
    Ground,
    Origins,
    Partitions,
    Provenance,
    pin,
)
from ml.rows import slices_sha256
from ml.scoring import Scorer
from ml.settings import Settings
from ml.sources.catalogue import declared_sources
from ml.sources.declaration import Source
from ml.sources.kept import Version, name_of
from ml.split import Span
from ml.training import versions_of
from ml.training_set import Manifest, TrainingSet

_LIBRARIES = ("duckdb", "numpy", "pyarrow")


@dataclass
class Witness(Generic[E]):
    """Published tables that note a hash of each day's rows as they are read; the rows are not kept."""

    published: Published[E]
    key: str
    read_: list[Partitions] = field(default_factory=list)

    def edition(self, number: int | None = None, /) -> E:
        """As the published tables have it."""
        return self.published.edition(number)

    def read(
        self,
        table: str,
        *,
        edition: E,
        columns: Sequence[str] | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> Any:
        """The rows, noted."""
        rows = self.published.read(
            table, edition=edition, columns=columns, first_day=first_day, last_day=last_day
        )
        self.read_.append(Partitions(table, self.key, tuple(rows.column_names), day_hashes(rows, self.key)))
        return rows

    def refuse_uncertified(
        self, table: str, days: Sequence[date], *, edition: E, code: str | None = None
    ) -> None:
        """As the published tables do."""
        self.published.refuse_uncertified(table, days, edition=edition, code=code)

    def noted(self, manifest: Manifest) -> tuple[Partitions, ...]:
        """What was read, for the days that are trained or tested on."""
        spans = [Span(part.first_day, part.last_day) for part in (manifest.train, manifest.test)]
        return tuple(
            Partitions(
                one.table,
                one.key,
                one.columns,
                {
                    day: sha256
                    for day, sha256 in one.days.items()
                    if any(span.first_day <= day <= span.last_day for span in spans)
                },
            )
            for one in self.read_
        )


def day_hashes(rows: pa.Table, key: str) -> dict[date, str]:
    """By day the hash of its rows, in whatever order they are stored; `key` names a row."""
    days = rows["day"].combine_chunks()
    order = pc.array_sort_indices(days).to_numpy().astype(np.int64)
    keys = rows[key].combine_chunks().take(order)
    ends: dict[date, int] = {}
    for day, slice_ in by_day(pa.table({"day": days.take(order), "key": keys})):
        start = max(ends.values(), default=0)
        ends[day] = start + len(slice_)
        within = pc.sort_indices(slice_["key"]).to_numpy()
        order[start : ends[day]] = order[start : ends[day]][within]
    return dict(zip(ends, slices_sha256(rows, order, list(ends.values())), strict=True))


def gather(settings: Settings, read: Collection[str]) -> tuple[lake.Edition, Ground]:
    """The newest edition, and the files of the sources in `read` that its tables were computed from.

    In one writer's turn, in which nothing is taken in or published. Raises NothingPublished, TurnNotGranted.
    """
    declared = {source.name: source for source in declared_sources(settings.project)}
    names = _with_lookups(declared, read)
    workshop = Workshop(settings)
    with workshop.turn():
        edition = lake.Published(settings).edition()
        computed = Computed(settings).files()
        rows: list[tuple[str, date | None, str, Any]] = []
        made_by: dict[str, str] = {}
        if workshop.file.exists():
            with workshop.connect() as con:
                rows = con.execute(
                    "select source, day, source_file_id, loaded_at from raw.files "
                    "where list_contains(?, source) order by all",
                    [sorted(names)],
                ).fetchall()
                made_by = dict(con.execute("select source, digest from raw.declarations").fetchall())
    counted, others = [], []
    for (source, day), group in groupby(rows, key=lambda row: row[:2]):
        suffix = declared[source].format.type if source in declared else "csv"
        versions = sorted(Version(loaded_at, sha256, day, suffix) for _, _, sha256, loaded_at in group)
        n = _n_counted(versions, computed.get((source, day)))
        counted += [(source, one) for one in versions[:n]]
        others += [(source, one) for one in versions[n:]]
    last = max((one.loaded_at for _, one in counted), default=None)
    uncounted = [(source, one) for source, one in others if last and one.loaded_at < last]
    sources = {
        name: DeclaredSource(declared[name].model_dump_json(), made_by.get(name, ""))
        for name in sorted(names & declared.keys())
    }
    return edition, Ground(_named(counted), _named(uncounted), sources)


def keep_edition(published: lake.Published, bundle: Bundle, newest: int) -> None:
    """Keep the edition that a version was made from for as long as there is a lake.

    Where it is gone, since the version was made before and not promoted, `newest` that gave its rows again.
    """
    try:
        edition = published.edition(bundle.origin["edition"])
    except NothingPublished:
        edition = published.edition(newest)
    published.tag(edition, pin(bundle.model, bundle.version))


def seal(
    bundle: Bundle, rows: TrainingSet, origins: Origins, definition: Any, environment: Environment
) -> Bundle:
    """The bundle with its provenance beside it; the version stays as it is."""
    provenance = Provenance(
        origins,
        definition,
        environment,
        trees_sha256=digest(bundle.fitted),
        predictions_sha256=predictions_sha256(bundle, rows),
    )
    return Bundle({**bundle.files, FILE: provenance.to_json().encode()})


def predictions_sha256(bundle: Bundle, rows: TrainingSet) -> str:
    """Digest of the scores of the test rows, to the bit."""
    scores = Scorer(bundle).score(rows.test)
    return digest(np.ascontiguousarray(scores, dtype="<f8").tobytes())


def environment_now(project: Path, declaration: ModelDeclaration) -> Environment:
    """What would train now."""
    lock = project / "requirements.lock"
    commit, is_changed = _commit(project)
    return Environment(
        versions={
            **versions_of(declaration),
            **{name: version(name) for name in _LIBRARIES},
            "python": platform.python_version(),
        },
        machine=f"{platform.system()} {platform.machine()}",
        lock_sha256=digest(lock.read_bytes()) if lock.exists() else None,
        commit=commit,
        is_changed=is_changed,
    )


def _commit(project: Path) -> tuple[str | None, bool]:
    if not (project / ".git").exists():
        return None, False
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", str(project), *what], capture_output=True, check=True, text=True, timeout=60
            ).stdout.strip()
            for what in (("rev-parse", "HEAD"), ("status", "--porcelain"))
        )
    except (
        OSError,
        subprocess.SubprocessError,
    ):  # no git, or a repository of another user's or without commit
        return None, False
    return head, bool(changed)


def _with_lookups(declared: Mapping[str, Source], read: Collection[str]) -> set[str]:
    names: set[str] = set()
    waiting = list(read)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += [lookup.source for lookup in declared[name].lookups] if name in declared else []
    return names


def _n_counted(versions: Sequence[Version], sha256: str | None) -> int:
    """How many of a day's versions, oldest first, count when it was computed from these bytes."""
    return max((n for n, version in enumerate(versions, 1) if version.sha256 == sha256), default=0)


def _named(versions: Sequence[tuple[str, Version]]) -> dict[str, tuple[str, ...]]:
    names: dict[str, list[str]] = {}
    for source, one in versions:
        names.setdefault(source, []).append(name_of(one))
    return {source: tuple(sorted(found)) for source, found in sorted(names.items())}

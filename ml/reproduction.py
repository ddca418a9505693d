"""Making a version again from its provenance, in a scratch home, and telling what differs.

Nothing of the project is changed. What a provenance names is said there; telling people is the caller's.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from ml.bundle import Bundle
from ml.canonical import digest
from ml.differences import Difference, of_environment, of_partitions
from ml.errors import (
    BundleRefused,
    DuplicateKeys,
    EmptySplit,
    HeadwaterError,
    NothingPublished,
    NotReproducible,
    RowsChanged,
)
from ml.gathering import day_hashes, environment_now, predictions_sha256
from ml.lake.batches import plain
from ml.lake.published import Edition, Published
from ml.lake.workshop import Workshop
from ml.proofs.rebuild import Snapshot
from ml.provenance import FILE, Partitions, Provenance, pin
from ml.settings import Settings
from ml.sources import recalled
from ml.sources.declaration import Source
from ml.sources.kept import version_of
from ml.sources.rebuilding import rebuild_raw
from ml.training import found_for, train
from ml.training_set import Manifest, TrainingSet

_NEVER = datetime.min  # when the edition was published does not matter here


@dataclass(frozen=True)
class Rows:
    """Rows of tables that stand in for published ones: whole, and of one edition only."""

    tables: Mapping[tuple[str, tuple[str, ...]], pa.Table]
    of: Edition

    def edition(self, number: int | None = None, /) -> Edition:  # noqa: ARG002  there is only one
        """The only edition."""
        return self.of

    def read(
        self,
        table: str,
        *,
        edition: Edition,  # noqa: ARG002
        columns: Collection[str] | None = None,
        first_day: date | None = None,  # noqa: ARG002  the rows are of the days that are read
        last_day: date | None = None,  # noqa: ARG002
    ) -> Any:
        """All rows that there are of a table."""
        return self.tables[table, tuple(columns or ())]

    def refuse_uncertified(
        self, table: str, days: Collection[date], *, edition: Edition, code: str | None = None
    ) -> None:
        """Refuses nothing: these rows were trained on, whatever was found of them since."""


@dataclass(frozen=True)
class Remade:
    """A version made again, where its rows came from, and the digests that tell whether it is the same."""

    bundle: Bundle
    rows_from: str
    trees_sha256: str
    predictions_sha256: str


@dataclass
class Reproduction:
    """One version being made again; each step needs those before it. Make one by `reproduction`.

    `faults` are inputs that are not what they were, by name; `changes` are of what runs, and may not matter.
    The snapshot of a version that was never promoted may be gone: `is_kept` says that it was.
    """

    settings: Settings
    bundle: Bundle
    provenance: Provenance
    scratch: Settings
    is_kept: bool
    faults: list[Difference] = field(default_factory=list)
    changes: list[Difference] = field(default_factory=list)
    from_raw: Rows | None = None
    from_snapshot: Rows | None = None
    others: dict[str, Rows] = field(default_factory=dict)  # with days that are not as they were

    def check_files(self) -> int:
        """Hold each kept copy against its SHA-256, and put the sound ones into the scratch home."""
        n_sound = 0
        for source, names in self._taken_in():
            for name in names:
                kept, version = self.settings.home / "files" / source / name, version_of(name)
                if not kept.exists() and (aside := recalled.path_of(self.settings, source, name)).exists():
                    kept = aside
                found = hashlib.sha256(kept.read_bytes()).hexdigest() if kept.exists() else None
                if found != version.sha256:
                    self.faults.append(Difference.of_file(source, version.day, kept, version.sha256, found))
                    continue
                copy = self.scratch.home / "files" / source / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.symlink_to(kept.resolve())
                n_sound += 1
        return n_sound

    def take_in(self) -> int:
        """Take the copies in again as they were declared then; gives the number of raw rows."""
        ground = self.provenance.origins.ground
        sources = [Source.model_validate_json(one.declaration) for one in ground.sources.values()]
        for source in sources:
            if source.digest() != (made_by := ground.sources[source.name].made_by):
                self.faults.append(Difference.of_declaration(source.name, made_by, source.digest()))
        try:
            rebuild_raw(self._workshop, self.scratch, sources)
        except (HeadwaterError, duckdb.Error) as error:
            self.faults.append(Difference("raw", "rows", "the files taken in again", str(error)))
            return 0
        with self._workshop.turn(), self._workshop.connect() as con:
            for name, uncounted in ground.uncounted.items():
                for version in map(version_of, uncounted):
                    said = [version.loaded_at, version.sha256]
                    where = "where loaded_at = ? and source_file_id = ?"
                    con.execute(f'delete from raw."{name}" {where}', said)
                    con.execute(f"delete from raw.files {where} and source = ?", [*said, name])
            (n_rows,) = con.execute("select sum(n_rows) from raw.files").fetchone() or (0,)
            con.execute("checkpoint")
        return int(n_rows or 0)

    def build_tables(self) -> dict[str, tuple[int, int]]:
        """Run the recorded SQL over raw; by table how many days are as they were, and of how many."""
        if any(fault.kind == "raw" for fault in self.faults):
            return {}
        tables = [one.table for one in self.provenance.origins.sql.tables]
        relations = {table.name: table.relation for table in tables}
        rows = {}
        try:
            with Snapshot(self._workshop.file).scratch() as scratch:
                scratch.raw()
                scratch.rebuild(tables, keep="nothing")
                for one in self.provenance.origins.partitions:
                    rows[one.table, one.columns] = self._computed(
                        scratch.connection, relations[one.table], one
                    )
        except (HeadwaterError, duckdb.Error) as error:
            self.faults.append(Difference("raw", "tables", "the tables built again", str(error)))
            return {}
        counts, stand_in, is_whole = self._compared(rows, "rebuilt from raw")
        if is_whole:
            self.from_raw = stand_in
        else:
            self.others["raw, of which other days differ"] = stand_in
        return counts

    def read_snapshot(self) -> dict[str, tuple[int, int]]:
        """Read the pinned edition; by table how many days are as they were, and of how many."""
        published, manifest = Published(self.settings), self.provenance.origins.manifest
        rows = {}
        try:
            edition = self._edition(published)
            for one in self.provenance.origins.partitions:
                days = {"first_day": min(one.days), "last_day": max(one.days)}
                found = published.read(one.table, edition=edition, columns=one.columns, **days)
                rows[one.table, one.columns] = _of_days(found, manifest)
        except Exception as error:  # noqa: BLE001  whatever a damaged lake leads to: it can't be read
            told = str(error).partition("\n")[0] or repr(error)
            gone = Difference.of_snapshot(manifest.edition_id, manifest.snapshots, told)
            (self.faults if self.is_kept else self.changes).append(gone)
            return {}
        counts, stand_in, is_whole = self._compared(rows, f"edition {edition.id}")
        if is_whole:
            self.from_snapshot = stand_in
        else:
            self.others["the pinned snapshot, of which other days differ"] = stand_in
        return counts

    def train(self) -> Remade | None:
        """Train on rows that are as they were, whichever way they came; None when there are none."""
        self.changes += of_environment(
            self.provenance.environment,
            environment_now(self.settings.project, self.bundle.declaration),
        )
        code = str(self.bundle.origin.get("code", ""))
        for rows_from, training_set in self._training_sets():
            try:
                made = train(
                    training_set,
                    self.bundle.declaration,
                    self.provenance.definition,
                    code=code,
                    found=found_for(self.bundle),
                )
                predictions = predictions_sha256(made, training_set)
            except HeadwaterError as error:
                self.faults.append(Difference("training", "on its rows", "a model", str(error)))
                return None
            return Remade(made, rows_from, digest(made.fitted), predictions)
        return None

    def _training_sets(self) -> Iterator[tuple[str, TrainingSet]]:
        """The rows, as far as they are those that were trained and tested on; days that differ may not be."""
        ways = {"raw": self.from_raw, "the pinned snapshot": self.from_snapshot}
        for rows_from, rows in (*ways.items(), *self.others.items()):
            with contextlib.suppress(RowsChanged, EmptySplit, DuplicateKeys):
                if rows:
                    yield rows_from, TrainingSet.load(self.provenance.origins.manifest, rows)

    def _taken_in(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        ground = self.provenance.origins.ground
        yield from ground.files.items()
        yield from ground.uncounted.items()

    @cached_property
    def _workshop(self) -> Workshop:
        return Workshop(self.scratch)

    def _edition(self, published: Published) -> Edition:
        """The edition that was read, or the one kept for the version in its place."""
        try:
            return published.edition(self.provenance.origins.manifest.edition_id)
        except NothingPublished:
            return published.tagged(pin(self.bundle.model, self.bundle.version))

    def _computed(self, con: duckdb.DuckDBPyConnection, relation: str, wanted: Partitions) -> pa.Table:
        """A rebuilt table as it would be published, of the days that were read."""
        schema, _, name = relation.partition(".")
        columns = ", ".join(f'"{column}"' for column in wanted.columns)
        rows = con.execute(f'select {columns} from workshop."{schema}"."{name}" order by day')
        return _of_days(plain(rows.to_arrow_table()), self.provenance.origins.manifest)

    def _compared(
        self, rows: Mapping[tuple[str, tuple[str, ...]], pa.Table], where: str
    ) -> tuple[dict[str, tuple[int, int]], Rows, bool]:
        counts, is_whole = {}, True
        for one in self.provenance.origins.partitions:
            found = day_hashes(rows[one.table, one.columns], one.key)
            other = of_partitions(one, found, where)
            counts[one.table] = (len(one.days) - len(other.days), len(one.days))
            if other.days:
                is_whole = False
                self.faults.append(other)
        manifest = self.provenance.origins.manifest
        edition = Edition(manifest.edition_id, _NEVER, manifest.snapshots)
        return counts, Rows(rows, edition), is_whole


@contextlib.contextmanager
def reproduction(settings: Settings, bundle: Bundle, *, is_kept: bool) -> Iterator[Reproduction]:
    """A version about to be made again, with a scratch home that is gone afterwards.

    Raises NotReproducible when the bundle does not say what it was made from, BundleRefused when it does so
    in another form than is read here.
    """
    if FILE not in bundle.files:
        raise NotReproducible(bundle.model, bundle.version)
    try:
        provenance = Provenance.from_json(bundle.files[FILE])
    except ValidationError as error:
        raise BundleRefused(bundle.version, FILE, f"its form is not what this code reads: {error}") from error
    with tempfile.TemporaryDirectory(prefix="headwater-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        scratch = Settings(
            project=settings.project,
            home=home,
            landing=home / "landing",
            ledger_url=f"sqlite:///{home / 'ledger.db'}",
            catalog_url=f"sqlite:///{home / 'catalog.db'}",
            warehouse=f"file://{home / 'published'}",
            registry=f"file://{home / 'registry'}",
        )
        yield Reproduction(settings, bundle, provenance, scratch, is_kept)


def _of_days(rows: pa.Table, manifest: Manifest) -> pa.Table:
    """Rows of the days that were trained or tested on."""
    days, kept = rows["day"], None
    for part in (manifest.train, manifest.test):
        inside = pc.and_(
            pc.greater_equal(days, pa.scalar(part.first_day)), pc.less_equal(days, pa.scalar(part.last_day))
        )
        kept = inside if kept is None else pc.or_(kept, inside)
    return rows.filter(kept)

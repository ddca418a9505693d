"""Published tables: what other processes read, as Iceberg tables by day, in editions.

An edition names one snapshot of every table, so what is read together was published together. Opening the
workshop does not belong here, nor does deciding what is published.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from ml.canonical import digest
from ml.errors import BadBatch, MadeByOtherCode, NothingPublished, Uncertified, UnknownTable
from ml.lake import expiry, iceberg
from ml.lake.batches import PublishBatch, checked
from ml.lake.certificates import Certificate, Publishing, Verdict
from ml.lake.codes import Renewal
from ml.lake.editions import Edition, Editions, database_url, snapshots_of
from ml.lake.reading import read
from ml.lake.turn import turn
from ml.lake.writing import replace_days
from ml.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.table import Table

__all__ = ["Certificate", "Edition", "PublishBatch", "Published", "Renewal", "Verdict"]

_KEEP_EDITIONS = 40  # without a tag; what a publish of a day costs grows by 1 ms a table with each
_SWEEP_EVERY = 50  # editions


class Published:
    """The published half of the lake: many readers, one publish at a time, nobody waits to read.

    Making one costs nothing; PyIceberg is imported at the first publish or read, not to look at editions.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = settings.home / "publish.lock"
        self._editions = Editions(settings.catalog_url)
        self._loading = threading.Lock()

    def publish(self, batches: Mapping[str, PublishBatch], wait_s: float = 600) -> Edition:
        """Replace the days of each batch in the table of its name and record the next edition.

        Tables not named keep the snapshot of the edition before. Killed in between, it leaves the newest
        edition as it was, and the next publish undoes what had been written. Raises BadBatch; then nothing
        is published.
        """
        rows = {name: checked(name, batch) for name, batch in batches.items()}
        with turn(self._lock, wait_s):
            self._editions.create_tables()
            known = self._newest_snapshots()
            kept = self._editions.forget(_KEEP_EDITIONS)
            snapshots = dict(known)
            for name, batch in batches.items():
                table = self._as_known(name, batch, rows[name], known.get(name))
                snapshots[name] = replace_days(table, batch, rows[name], snapshots_of(kept, name))
            made = [
                Publishing(name, b.first_day or date.min, b.last_day or date.max, b.certificate)
                for name, b in batches.items()
            ]
            edition = self._editions.add(snapshots, made)
            if edition.id % _SWEEP_EVERY == 0:
                self.expire()
            return edition

    def edition(self, number: int | None = None) -> Edition:
        """The edition of that number, or the newest; untagged ones are kept for 40 publishes.

        Raises NothingPublished.
        """
        return self._editions.get(number)

    def read(
        self,
        table: str,
        *,
        edition: Edition,
        columns: Sequence[str] | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> pa.Table:
        """The table's rows in an edition, by day; both days included. Raises UnknownTable, UnknownColumn."""
        snapshot = self._snapshot(table, edition)
        return read(self._load(table), snapshot, columns, first_day, last_day)

    def refuse_uncertified(
        self, table: str, days: Sequence[date], *, edition: Edition, code: str | None = None
    ) -> None:
        """Refuse days whose rows in an edition are not known to have passed their blocking checks.

        All must be made by `code`, or, where none is named, by one and the same. Raises Uncertified, which
        names the days and the failed check, or MadeByOtherCode.
        """
        found = self._editions.uncertified(edition.id, table, days)
        if found:
            raise Uncertified(table, edition.id, found)
        others = self._editions.coded_otherwise(edition.id, table, days, code)
        if others:
            raise MadeByOtherCode(table, edition.id, others, len(days))

    def renew(self, renewal: Renewal) -> None:
        """Record that all rows which a table has in the newest edition are what a code makes."""
        with turn(self._lock, 600):
            self._editions.renew(self.edition().id, renewal)

    def codes(self) -> dict[str, str]:
        """By table, the code that last was known to make all of its rows."""
        return self._editions.codes()

    def judge(self, verdict: Verdict, edition: Edition | None = None) -> None:
        """Record what a check found of the rows of an edition, or of the newest.

        A check that fails takes certified rows' certificate away until they are published anew or it passes.
        """
        with turn(self._lock, 600):
            self._editions.judge((edition or self.edition()).id, verdict)

    def failed(self, check: str) -> set[str]:
        """The tables of which a check has found some day's rows wrong, and not all days' right since."""
        return self._editions.failed(check)

    def days(self, table: str, edition: Edition) -> list[date]:
        """The days that have rows, in order; reads no rows."""
        return sorted(self.parts(table, edition))

    def parts(self, table: str, edition: Edition) -> dict[date, str]:
        """By day that has rows a name of what holds them: as long as it is the same, so are they."""
        snapshot = self._snapshot(table, edition)
        tasks = self._load(table).scan(snapshot_id=snapshot, selected_fields=("day",)).plan_files()
        held: dict[date, list[str]] = {}
        for task in tasks:
            files = [task.file.file_path, *(one.file_path for one in task.delete_files)]
            if day := iceberg.day_of(task):
                held.setdefault(day, []).extend(file.rpartition("/")[2] for file in files)
        return {day: digest("\n".join(sorted(files)))[:32] for day, files in held.items()}

    def tag(self, edition: Edition, name: str) -> None:
        """Keep an edition readable for as long as it has the tag, through every `expire`.

        The tag is also an Iceberg tag of every table, for other engines. Given again, it moves.
        """
        with turn(self._lock, 600):
            self._editions.tag(edition.id, name)
            for table, snapshot in edition.snapshots.items():
                iceberg.set_tag(self._load(table), name, snapshot)

    def tagged(self, name: str) -> Edition:
        """The edition with that tag. Raises UnknownTag."""
        return self._editions.get(self._editions.tagged(name))

    def untag(self, name: str) -> None:
        """Let a tagged edition expire. Raises UnknownTag."""
        with turn(self._lock, 600):
            for table in self.tagged(name).snapshots:
                iceberg.set_tag(self._load(table), name, None)
            self._editions.untag(name)

    def expire(
        self,
        keep: timedelta = timedelta(hours=1),
        keep_editions: int = _KEEP_EDITIONS,
        pinned: frozenset[int] = frozenset(),
    ) -> int:
        """Forget all editions but the newest, the pinned and the tagged, and delete files only they needed.

        Files younger than `keep` stay for the next time. Gives the number of files deleted. A publish forgets
        editions too, and clears up every now and then.
        """
        with turn(self._lock, 600):
            kept = self._editions.forget(keep_editions, pinned)
            n_deleted = 0
            for name in {name for edition in kept for name in edition.snapshots}:
                table = self._load(name)
                with table.transaction() as tx:
                    iceberg.forget(tx, snapshots_of(kept, name))
                n_deleted += expiry.sweep(table, keep)
            return n_deleted

    @cached_property
    def _catalog(self) -> "SqlCatalog":
        return iceberg.open_catalog(database_url(self._settings.catalog_url), self._settings.warehouse)

    def _load(self, table: str) -> "Table":
        with self._loading:
            catalog = self._catalog
        return catalog.load_table((iceberg.NAMESPACE, table))

    def _as_known(self, name: str, batch: PublishBatch, rows: pa.Table, snapshot: int | None) -> "Table":
        """The table as the newest edition names it, or a new one."""
        if snapshot is None:
            schema = iceberg.described(rows.schema, batch.columns)
            return iceberg.make(self._catalog, name, schema, batch.description)
        table = iceberg.put_back(self._load(name), snapshot)
        if bool(table.spec().fields) != ("day" in rows.column_names):
            now = "no column day, but those published have" if table.spec().fields else "a column day"
            raise BadBatch(name, f"have {now}", "the same as before, or a table of another name")
        return table

    def _newest_snapshots(self) -> Mapping[str, int]:
        try:
            return self._editions.get().snapshots
        except NothingPublished:
            return {}

    def _snapshot(self, table: str, edition: Edition) -> int:
        if table not in edition.snapshots:
            raise UnknownTable(table, edition.id, edition.snapshots)
        return edition.snapshots[table]

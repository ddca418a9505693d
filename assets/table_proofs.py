"""The proofs that take a rebuild of the project's tables, over the workshop as it stands at one moment.

What is proved is said in `ml.proofs`; who asks, and what follows from it, does not belong here.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from assets.calendar import project_calendars
from assets.compiled_tables import compiled_tables, described_tables
from assets.dbt_runner import DbtRunner
from assets.table_code import project_code
from ml.calendars import Calendar
from ml.computed import Computed
from ml.errors import NothingPublished, ProofFailed
from ml.lake.published import Edition, Published
from ml.lake.workshop import Workshop
from ml.proofs.determinism import THREADS, unrepeatable
from ml.proofs.incremental import rebuild_fully
from ml.proofs.rebuild import Snapshot, Table, copied
from ml.proofs.standing import Standing, standing

INCREMENTAL, THREADED = "incremental_equals_full", "same_with_any_threads"
PROOFS = {
    INCREMENTAL: "The table, as it stands and as published, is what a full rebuild gives, to the bit.",
    THREADED: f"The newest days are the same, to the bit, when they are built with {THREADS} threads.",
}
_THREADED_DAYS = 14  # DuckDB is told to split few rows too


@dataclass(frozen=True)
class Fault:
    """What a proof found wrong with a table; the days that it is about, none where it is about all."""

    told: str
    days: tuple[date, ...] = ()

    def __str__(self) -> str:
        return self.told


@dataclass(frozen=True)
class Proved:
    """What a proof looked at and found, by table: faults, and in words what was stale and so not judged."""

    proof: str
    first_day: date | None = None
    last_day: date | None = None
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    stale: Mapping[str, str] = field(default_factory=dict)

    @property
    def days(self) -> str:
        """The days looked at, in words."""
        return f"{self.first_day} to {self.last_day}" if self.first_day else "no day is computed yet"

    def raise_failed(self) -> None:
        """Raise ProofFailed when there is something to raise for."""
        if self.faults:
            raise ProofFailed(
                self.proof, {name: [str(f) for f in found] for name, found in self.faults.items()}
            )


@dataclass(frozen=True)
class Moment:
    """The workshop, what is known of how it was built, and what was published, at one moment.

    `days` are those of each calendar that were computed.
    """

    runner: DbtRunner
    snapshot: Snapshot
    known: Standing
    published: Published
    edition: Edition | None
    days: Mapping[Calendar, tuple[date, ...]]

    def prove(self, proof: str, only: Collection[str] | None = None) -> Proved:
        """Run a proof for the tables named in `only`, or all.

        Raises:
            TableNotRebuilt: DuckDB refused a table's SQL.
        """
        found = [self._prove(proof, calendar, days, only) for calendar, days in self.days.items() if days]
        return Proved(
            proof,
            min((one.first_day for one in found if one.first_day), default=None),
            max((one.last_day for one in found if one.last_day), default=None),
            {name: faults for one in found for name, faults in one.faults.items()},
            {name: told for one in found for name, told in one.stale.items()},
        )

    def _prove(
        self, proof: str, calendar: Calendar, days: Sequence[date], only: Collection[str] | None
    ) -> Proved:
        first, last = days[0], days[-1]
        if proof == THREADED:
            first = days[-_THREADED_DAYS:][0]
        tables = compiled_tables(self.runner, first, last, {*calendar.tables, *calendar.reference_tables})
        wanted = [table for table in tables if only is None or table.name in only]
        prove = self._threaded if proof == THREADED else self._incremental
        return prove(tables, wanted, Proved(proof, first, last))

    def _incremental(self, tables: tuple[Table, ...], wanted: list[Table], proved: Proved) -> Proved:
        found: dict[str, tuple[Fault, ...]] = {}
        names = {table.unique_id: table.name for table in wanted}
        with self.snapshot.scratch() as scratch:
            full = rebuild_fully(scratch, tables, self.known)
            for drift in (*full.drifted(), *full.drifted_published(self._rows())):
                if name := names.get(drift.unique_id):
                    found[name] = (*found.get(name, ()), Fault(str(drift), drift.days))
        stale = {table.name: self.known.told(table.name) for table in wanted}
        return replace(proved, faults=found, stale={name: told for name, told in stale.items() if told})

    def _threaded(self, tables: tuple[Table, ...], wanted: list[Table], proved: Proved) -> Proved:
        """Stale tables are left out: their SQL may need columns that what they read does not have yet."""
        stale = {one.name: self.known.told(one.name) for one in wanted if self._is_stale(one, proved)}
        with self.snapshot.scratch() as scratch:
            standing_ = {one.unique_id for one in tables if one.is_view or scratch.columns(one)}
        only = {one.unique_id for one in wanted if one.name not in stale} & standing_
        names = {table.unique_id: table.name for table in wanted}
        found = unrepeatable(self.snapshot, tables, only=only)
        return replace(
            proved, faults={names[one.unique_id]: (Fault(str(one)),) for one in found}, stale=stale
        )

    def _is_stale(self, table: Table, proved: Proved) -> bool:
        days, first = self.known.stale.get(table.name, {}), proved.first_day
        return any(day is None or first is None or first <= day for day in days)

    def _rows(self) -> dict[str, Any]:
        """The published rows by table."""
        if self.edition is None:
            return {}
        return {name: self.published.read(name, edition=self.edition) for name in self.edition.snapshots}


@contextlib.contextmanager
def moment(runner: DbtRunner) -> Iterator[Moment]:
    """Copy the workshop, and read at the same moment what is known of it; its turn is held meanwhile only."""
    workshop, computed = Workshop(runner.settings), Computed(runner.settings)
    published = Published(runner.settings)
    views = {table.name for table in described_tables(runner) if table.is_view}
    with contextlib.ExitStack() as stack:
        with workshop.turn():
            snapshot = stack.enter_context(copied(workshop))
            builds, files = computed.builds(), computed.files()
            edition = _newest(published)
            built = {(name, day) for (name, day), build in builds.items() if day and build.built_at}
        days = {
            calendar: tuple(
                sorted({*calendar.computed(files), *(day for name, day in built if name in calendar.tables)})
            )
            for calendar in project_calendars(runner)
        }
        known = standing(project_code(runner).tables, builds, views)
        yield Moment(runner, snapshot, known, published, edition, days)


def _newest(published: Published) -> Edition | None:
    try:
        return published.edition()
    except NothingPublished:
        return None

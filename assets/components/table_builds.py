"""What a step's tables are made from, wave by wave: what is stale, what came out, what may not be relied on.

Building is dbt's, storing the register is `ml.computed`'s, publishing is `dbt_events`'.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from assets.table_code import ProjectCode
from ml.calendars import Calendar
from ml.canonical import digest
from ml.computed import Arrival, Build, Computed, Key
from ml.errors import UncertifiedInputs
from ml.stale import Traces, inputs, next_wave, unsettled, window
from ml.tables import lineage_code, raw_name

_ASKED = "it was asked for"


@dataclass
class StepBuilds:
    """One step of a run: `first` and `last` are its days of the calendar, None for tables that have none."""

    code: ProjectCode
    computed: Computed
    run: str
    first: date | None
    last: date | None
    calendar: Calendar | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = self.computed.builds()
        self._traces = Traces(self.code.tables.values(), self._before)
        self._begun: set[str] = set()
        self._mark = self._traces.next_mark
        self._new: dict[Key, Build] = {}
        self._unit_tests = self.computed.unit_tests()

    @property
    def days(self) -> list[date]:
        """The days of the run, without what tables write beyond them."""
        if self.calendar is None or self.first is None or self.last is None:
            return []
        return self.calendar.days(self.first, self.last)

    @property
    def own(self) -> set[str]:
        """The tables that may be made from each other: its calendar's, or the reference tables."""
        if self.calendar is None:
            return {name for name, table in self.code.tables.items() if not table.is_daily}
        return {*self.calendar.tables, *self.calendar.reference_tables}

    def see_raw(self, files: Iterable[Arrival]) -> None:
        """Take note of the bytes that raw rows are from now."""
        for file in files:
            key = (raw_name(file.source), file.day)
            before = self._traces.builds.get(key)
            if before is None or before.data != file.sha256:
                self._put(key, Build(data=file.sha256, changed_at=self._mark, run=self.run))

    def next_wave(self, pending: set[str], *, only_stale: bool) -> set[str]:
        """Those of the pending tables to build now; empty when all are as they should be."""
        wave = next_wave(self._traces, pending, self.days) if only_stale else set(pending)
        for name in wave:
            why = self._traces.stale(name, self.days) if only_stale else {}
            self.reasons[name] = next(iter(why.values()), _ASKED)
        return wave

    def unit_tests(self, tables: Iterable[str]) -> set[str]:
        """Ids of the unit tests of tables that did not pass yet with the code as it is now."""
        of = {f".{name}." for name in tables}
        return {
            test
            for test, code in self.code.unit_tests.items()
            if self._unit_tests.get(test) != code and any(name in test for name in of)
        }

    def begin(self, tables: Iterable[str]) -> None:
        """Note that tables are about to be built: until they are checked nothing may rely on their rows.

        Raises UncertifiedInputs when one reads rows, built before this step, that failed their checks.
        """
        names = set(tables)
        for name in names:
            self._refuse_uncertified(name, names)
        self._begun |= names
        self._mark_failed(dict.fromkeys(names, f"run {self.run} ended before they were checked"))

    def fail(self, failed: Iterable[str]) -> None:
        """Note what failed in this step: none of its tables is relied on, as they are not published."""
        because = "; ".join(failed)
        self._mark_failed(dict.fromkeys(self._begun, f"run {self.run} failed: {because}"))

    def built(self, name: str, versions: Mapping[date | None, str]) -> None:
        """Note that a table was built and passed its checks, and what its rows are called now."""
        table, own = self.code.tables[name], set(self.days) or {None}
        for day, data in versions.items():
            before = self._traces.builds.get((name, day), Build())
            changed_at = before.changed_at if before.data == data else self._mark
            after = Build(before.code, before.checks, data, before.built_at, changed_at, self.run)
            if day in own or not table.is_daily:
                after = replace(after, code=table.code, checks=table.checks, built_at=self._mark)
            self._put((name, day), after)

    def commit(self, passed_unit_tests: Iterable[str]) -> None:
        """Store all that was noted: readers see these rows now."""
        self.computed.write(self._new)
        self.computed.pass_unit_tests({test: self.code.unit_tests[test] for test in passed_unit_tests})

    def lineage(self, name: str) -> str:
        """The code of a table and of all that it is made from."""
        return lineage_code(self.code.tables, [name])

    def settled(self, days: Sequence[date], of: Collection[str]) -> set[str]:
        """Those tables whose rows of these days, as far as there are any, are what their lineage makes."""
        return {name for name, late in unsettled(self._traces, days, of).items() if not late}

    def read_days(self) -> list[date]:
        """The days of the run, and all that any table reads for them, through others too."""
        if self.calendar is None or self.first is None or self.last is None:
            return []
        tables = [self.code.tables[name] for name in self.calendar.tables]
        back = sum(table.lookback_days for table in tables)
        ahead = max((table.reach_days for table in tables), default=0)
        return self.calendar.days(self.first - timedelta(days=back), self.last + timedelta(days=ahead))

    @property
    def is_whole(self) -> bool:
        """Whether every table of these days is as it should be, so that their files are computed."""
        by_day = self.calendar.tables if self.calendar else ()
        return not any(self._traces.stale(name, self.days) for name in by_day)

    def version(self, name: str) -> str:
        """One name for a table's rows of the days of the run."""
        days = self.window(name)
        return digest(repr([self._traces.builds.get((name, day), Build()).data for day in days]))[:16]

    def window(self, name: str) -> list[date | None]:
        """The days that a build of a table writes in this run."""
        every = self.calendar.every if self.calendar else 1
        return window(self.code.tables[name], self.first, self.last, every)

    def _refuse_uncertified(self, name: str, built_here: set[str]) -> None:
        table = self.code.tables[name]
        for parent in table.parents:
            if parent not in self.code.tables:
                continue
            read: list[date | None] = [day for (of, day) in self._traces.builds if of == parent]
            if table.is_daily and self.code.tables[parent].is_daily and self.first and self.last:
                read = list(inputs(table, self.first, self.last))
            here = self.window(parent) if parent in built_here else ()
            failed = self._traces.uncertified(parent, set(read) - set(here))
            if failed:
                raise UncertifiedInputs(name, parent, failed)

    def _mark_failed(self, failed: Mapping[str, str]) -> None:
        marked: dict[Key, Build] = {}
        for name, why in failed.items():
            for day in self.window(name):
                before = self._before.get((name, day), Build())
                marked[name, day] = replace(before, built_at=0, run=self.run, failed=why)
        self.computed.write(marked)

    def _put(self, key: Key, build: Build) -> None:
        self._traces.put(key, build)
        self._new[key] = build

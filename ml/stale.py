"""Which tables are not what a build now would make them, for which days, and why.

Pure: how tables were built is told to it, and building them is others' work. In doubt a table is stale.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta

from ml.computed import Build, Key
from ml.tables import Table, ancestors, descendants

_DAY = timedelta(days=1)
_NEVER = Build()


def window(table: Table, first: date | None, last: date | None, every: int = 1) -> list[date | None]:
    """The days that a build of first..last writes, `every` so many; [None] for a table without days."""
    if not table.is_daily or first is None or last is None:
        return [None]
    return [first + n * _DAY for n in range(0, (last - first).days + 1 + table.reach_days, every)]


def inputs(table: Table, first: date, last: date) -> list[date]:
    """The days of its parents that a build of first..last reads, for the days it writes beyond them too."""
    begin, end = first - table.lookback_days * _DAY, last + table.reach_days * _DAY
    return [begin + n * _DAY for n in range((end - begin).days + 1)]


def own_inputs(table: Table, day: date) -> list[date]:
    """The days of its parents that the rows of one day are made from."""
    return [day - n * _DAY for n in range(table.lookback_days, -1, -1)]


class Traces:
    """How everything was built, as a run goes on."""

    def __init__(self, tables: Iterable[Table], builds: Mapping[Key, Build]) -> None:
        self.tables = {table.name: table for table in tables}
        self.builds = dict(builds)
        self._changed: dict[str, dict[date | None, int]] = {}
        for (name, day), build in builds.items():
            self._changed.setdefault(name, {})[day] = build.changed_at

    @property
    def next_mark(self) -> int:
        """The number of the step of a run that begins now."""
        return 1 + max((max(b.built_at, b.changed_at) for b in self.builds.values()), default=0)

    def put(self, key: Key, build: Build) -> None:
        """Take note of a build."""
        self.builds[key] = build
        self._changed.setdefault(key[0], {})[key[1]] = build.changed_at

    def stale(self, name: str, days: Sequence[date]) -> dict[date | None, str]:
        """Those of the days whose rows have to be built anew, with the reason.

        The rows of a day are made from its parents' rows of that day and `lookback_days` before it. The last
        of the days stands for what a build writes beyond it as well.
        """
        table = self.tables[name]
        if not table.is_daily:
            return {None: why} if (why := self._why(table, None, ())) else {}
        newest = max(days, default=None)
        read = {day: inputs(table, day, day) if day == newest else own_inputs(table, day) for day in days}
        return {day: why for day in days if (why := self._why(table, day, read[day]))}

    def uncertified(self, name: str, days: Iterable[date | None]) -> dict[date | None, str]:
        """Those of the days whose rows did not pass their blocking checks, with what failed."""
        builds = ((day, self.builds.get((name, day), _NEVER)) for day in days)
        return {day: build.failed for day, build in builds if build.failed}

    def _why(self, table: Table, day: date | None, read: Sequence[date]) -> str | None:
        build = self.builds.get((table.name, day), _NEVER)
        if not build.built_at:
            return build.failed or "it was not computed yet"
        if build.code != table.code:
            return "its code changed"
        if build.checks != table.checks:
            return "its blocking tests changed"
        for parent in table.parents:
            changed = self._changed.get(parent, {})
            at = changed.values() if day is None else (changed.get(of, 0) for of in (None, *read))
            if max(at, default=0) > build.built_at:
                return f"{parent} changed"
        return None


def unsettled(
    traces: Traces, days: Sequence[date], only: Collection[str] | None = None
) -> dict[str, set[date | None]]:
    """By table, those of the days whose rows are stale or made from stale rows; never built ones left out.

    Of the tables in `only`, which are made from no others, or all.
    """
    found: dict[str, set[date | None]] = {}
    names = traces.tables.keys() if only is None else only
    for name in sorted(names, key=lambda one: len(ancestors(traces.tables, one))):
        table = traces.tables[name]
        late = {day for day in traces.stale(name, days) if (name, day) in traces.builds}
        for parent in set(table.parents) & found.keys():
            late |= reached(table, found[parent], days)
        found[name] = late
    return found


def reached(table: Table, late: set[date | None], days: Sequence[date]) -> set[date | None]:
    """Those of the days of a table that read any of the `late` days of a parent."""
    if not table.is_daily:
        return {None for _ in late}
    reads = {day + n * _DAY for day in late if day for n in range(table.lookback_days + 1)}
    return {day for day in days if None in late or day in reads}


def next_wave(traces: Traces, pending: set[str], days: Sequence[date]) -> set[str]:
    """Those of the pending tables that are stale and wait for no other pending one; empty: all is done.

    A table whose parents may yet turn out unchanged waits until they are built.
    """
    stale = {name for name in pending if traces.stale(name, days)}
    undecided = (pending - stale) & descendants(traces.tables.values(), stale)
    return {name for name in stale if not ancestors(traces.tables, name) & undecided}


def stale_tables(
    tables: Iterable[Table], builds: Mapping[Key, Build], days: Sequence[date]
) -> tuple[set[str], set[date]]:
    """Tables that are stale on some of the computed days with all that is made from them, and those days.

    What is made from a stale table is stale only if the table's rows change, which building it shows.
    """
    traces = Traces(tables, builds)
    reach = max((table.lookback_days for table in traces.tables.values()), default=0)
    names, found = set(), set()
    for name in traces.tables:
        stale = traces.stale(name, days)
        if stale:
            names.add(name)
            found |= set(days) if None in stale else {day for day in stale if day}
    late = {day + n * _DAY for day in found for n in range(reach + 1)}
    return names | descendants(traces.tables.values(), names), late & set(days)

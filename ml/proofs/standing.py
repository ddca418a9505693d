"""What is known of the rows that stand: the bytes they were computed from, and which of them are stale.

A stale partition waits to be built anew, so a proof holds nothing against it. Rows are not looked at here.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from ml.computed import Build, Key
from ml.stale import Traces, own_inputs
from ml.tables import Table, ancestors, raw_name

Files = Mapping[tuple[str, date | None], str]
Reasons = Mapping[date | None, str]


@dataclass(frozen=True)
class Standing:
    """The files that count, by source and day (None: the newest of each); by table, what is not judged.

    `stale` are days with the reason, `uncomputed` days that a build wrote ahead of their own; None stands for
    a table that has no days. What neither names was built by the code there is now, and is judged by it.
    """

    files: Files | None = None
    stale: Mapping[str, Reasons] = field(default_factory=dict)
    uncomputed: Mapping[str, Collection[date | None]] = field(default_factory=dict)

    def unjudged(self, table: str) -> set[date | None]:
        """The days of a table that are held against nothing."""
        return {*self.uncomputed.get(table, ()), *self.stale.get(table, ())}

    def told(self, table: str) -> str:
        """What is stale of a table, in words; empty when nothing is."""
        stale = self.stale.get(table, {})
        days = sorted(day for day in stale if day is not None)
        if not stale:
            return ""
        of = f"{len(days)} day(s) of {days[0]} to {days[-1]}" if days else "the table"
        return f"Stale, not judged: {of}: {next(iter(stale.values()))}. `make up` computes what is stale."


ALL_JUDGED = Standing()


def standing(
    tables: Mapping[str, Table], builds: Mapping[Key, Build], views: Collection[str] = ()
) -> Standing:
    """What the register of builds says of `tables`; `views` are those of them that hold no rows.

    Without any builds everything is judged, by the newest files.
    """
    if not builds:
        return ALL_JUDGED
    traces = Traces(tables.values(), builds)
    stale: dict[str, Reasons] = {}
    uncomputed: dict[str, Collection[date | None]] = {}
    for name in sorted(tables, key=lambda one: len(ancestors(tables, one))):
        known = [day for (of, day) in builds if of == name]
        # A build beyond its own days writes what it can see of them; their own build replaces it.
        ahead = {day for day in known if not (builds[name, day].built_at or builds[name, day].failed)}
        found = traces.stale(name, [day for day in known if day is not None])
        found |= _through_views(tables[name], known, {view: stale.get(view, {}) for view in views})
        stale[name] = {day: why for day, why in found.items() if day not in ahead}
        uncomputed[name] = ahead
    raw = {parent for table in tables.values() for parent in table.parents} - tables.keys()
    of = {name: name.removeprefix(raw_name("")) for name in raw}
    files = {(of[name], day): build.data for (name, day), build in builds.items() if name in raw}
    return Standing(files, stale, uncomputed)


def _through_views(table: Table, known: Iterable[date | None], stale: Mapping[str, Reasons]) -> Reasons:
    """The days that read stale days of a view, which shows other rows by now than they were made from."""
    found: dict[date | None, str] = {}
    for view in sorted(stale.keys() & set(table.parents)):
        for day in known:
            read: list[date | None] = [None] if day is None else [None, *own_inputs(table, day)]
            if stale[view] and (day is None or any(one in stale[view] for one in read)):
                found[day] = f"{view}, a view, is stale"
    return found

"""What arrives and is computed together: dated sources, and the tables by day that are made from them.

Two problems that share no dated source have nothing to wait for in each other: each has a calendar of its
own. Which of its days are due is `arrivals`' matter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from ml.errors import MixedCadences
from ml.sources.declaration import Source
from ml.tables import Table, ancestors, descendants, raw_name

_UNITS = {1: "days", 7: "weeks"}


@dataclass(frozen=True)
class Calendar:
    """Days from `start` to `end` (None: it goes on), `every` so many days; a week is named by its first day.

    `sources` are dated, `tables` are by day; `references` (sources of one file) and `reference_tables` are
    what these are made from besides, which another calendar may share.
    """

    name: str
    every: int
    start: date
    end: date | None
    sources: tuple[str, ...]
    tables: tuple[str, ...]
    references: tuple[str, ...] = ()
    reference_tables: tuple[str, ...] = ()
    lookback_days: int = 0

    @property
    def unit(self) -> str:
        """What its partitions are called, in plural."""
        return _UNITS[self.every]

    @property
    def all_sources(self) -> frozenset[str]:
        """Its sources, dated or not."""
        return frozenset((*self.sources, *self.references))

    def days(self, first: date, last: date) -> list[date]:
        """Those of its days that lie between two dates, both included."""
        ahead = (self.start - first).days % self.every
        return [
            date.fromordinal(n) for n in range(first.toordinal() + ahead, last.toordinal() + 1, self.every)
        ]

    def computed(self, files: Iterable[tuple[str, date | None]]) -> list[date]:
        """Its days among the sources and days that were computed, in order."""
        return sorted({day for source, day in files if day and source in self.sources})


def ranges(days: Iterable[date], every: int = 1) -> list[tuple[date, date]]:
    """Days in order as few ranges, first and last of each; days `every` apart follow each other."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=every):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def calendars(sources: Iterable[Source], tables: Iterable[Table]) -> tuple[Calendar, ...]:
    """The calendars of a project, by length of step and start; none where no source is dated.

    What nothing connects with any other goes with the first that has its step. Raises MixedCadences when
    sources of different steps meet in a table.
    """
    dated = {source.name: source for source in sources if source.every_days}
    once = {source.name: source for source in sources if not source.every_days}
    named = {table.name: table for table in tables}
    groups = list(_connected(dated, named))
    groups.sort(key=lambda group: _place(group & dated.keys(), dated))
    groups = list(_with_strays(groups, dated, named))
    found = [_calendar(group, dated, once, named) for group in groups]
    return tuple(_named(_with_other_references(found, once, named)))


def _connected(dated: Mapping[str, Source], tables: Mapping[str, Table]) -> Iterator[set[str]]:
    """Names of dated sources and of tables by day that reach each other, whichever way.

    A source and a table never have the same name here: sources come as they are named among parents.
    """
    edges: dict[str, set[str]] = {raw_name(name): set() for name in dated}
    edges |= {name: set() for name, table in tables.items() if table.is_daily}
    pairs = [(table.name, parent) for table in tables.values() for parent in table.parents]
    pairs += [
        (raw_name(source.name), raw_name(lookup.source))
        for source in dated.values()
        for lookup in source.lookups
    ]
    for one, other in pairs:
        if one in edges and other in edges:
            edges[one].add(other)
            edges[other].add(one)
    raw = {raw_name(name): name for name in dated}
    while edges:
        waiting, group = [next(iter(edges))], set()
        while waiting:
            name = waiting.pop()
            if name in edges:
                group.add(raw.get(name, name))
                waiting += edges.pop(name)
        yield group


def _place(names: set[str], dated: Mapping[str, Source]) -> tuple[int, date, str]:
    """Where a group stands: groups without a source last, before them the longer steps."""
    return min(
        ((dated[name].every_days, dated[name].start or date.min, name) for name in names),
        default=(max(_UNITS) + 1, date.max, ""),
    )


def _with_strays(
    groups: Sequence[set[str]], dated: Mapping[str, Source], tables: Mapping[str, Table]
) -> Iterator[set[str]]:
    """The groups that have sources and tables, with those that have only one of both put into them."""
    whole = [group for group in groups if group & dated.keys() and group & tables.keys()]
    for group in groups:
        if group in whole:
            continue
        steps = {dated[name].every_days for name in group & dated.keys()}
        into = [
            one for one in whole if not steps or {dated[n].every_days for n in one & dated.keys()} == steps
        ]
        if into:
            into[0].update(group)
        elif steps:
            whole.append(group)
    yield from whole


def _calendar(
    group: set[str], dated: Mapping[str, Source], once: Mapping[str, Source], tables: Mapping[str, Table]
) -> Calendar:
    sources = [dated[name] for name in sorted(group & dated.keys())]
    phases = {source.name: (source.every_days, _phase(source)) for source in sources}
    if len(set(phases.values())) > 1:
        raise MixedCadences({source.name: (source.cadence, source.start) for source in sources})
    own = sorted(group & tables.keys())
    above = {name for table in own for name in ancestors(tables, table)} - set(own)
    related = (above | descendants(tables.values(), own)) & tables.keys()
    looked_up = {lookup.source for source in sources for lookup in source.lookups}
    ends = [source.end for source in sources]
    return Calendar(
        name=_UNITS[sources[0].every_days],
        every=sources[0].every_days,
        start=min(source.start for source in sources if source.start),
        end=None if None in ends else max(end for end in ends if end),
        sources=tuple(source.name for source in sources),
        tables=tuple(own),
        references=tuple(sorted(n for n in once if raw_name(n) in above or n in looked_up)),
        reference_tables=tuple(sorted(n for n in related if not tables[n].is_daily)),
        lookback_days=max((tables[name].lookback_days for name in own), default=0),
    )


def _phase(source: Source) -> int:
    return (source.start or date.min).toordinal() % source.every_days


def _with_other_references(
    found: Sequence[Calendar], once: Mapping[str, Source], tables: Mapping[str, Table]
) -> Iterator[Calendar]:
    """The calendars; the first has also the references that none has."""
    taken = {name for one in found for name in one.references}
    made = {name for one in found for name in one.reference_tables}
    for place, one in enumerate(found):
        if place:
            yield one
            continue
        sources = sorted({*one.references, *(name for name in once if name not in taken)})
        others = (name for name, table in tables.items() if not table.is_daily and name not in made)
        yield replace(
            one, references=tuple(sources), reference_tables=tuple(sorted({*one.reference_tables, *others}))
        )


def _named(found: Iterable[Calendar]) -> Iterator[Calendar]:
    """Each with a name of its own: its unit, and its first source where an earlier one has the unit."""
    taken: set[str] = set()
    for one in found:
        name = one.unit if one.unit not in taken else f"{one.unit}_of_{one.sources[0]}"
        taken.add(name)
        yield replace(one, name=name)

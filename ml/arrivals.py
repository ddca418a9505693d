"""Which days are due: landed files that no edition was made from yet, and tables that are stale.

Nothing is read from the workshop, which writers lock; nothing is taken in here.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ml.calendars import Calendar, calendars, ranges
from ml.computed import Arrival, Computed
from ml.errors import FileRefused
from ml.settings import Settings
from ml.sources import Source
from ml.sources.catalogue import declared_sources
from ml.sources.landed import day_of, failed, failures, pending, remember, taken
from ml.stale import stale_tables
from ml.tables import Table

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Segment:
    """A range of days to compute in one run, with the sources whose files arrived for it.

    Without files it is due because `tables` are stale, and only they are computed, with the models made from
    them. `calendar` says what else is computed on its days: without it, everything.
    """

    first_day: date
    last_day: date
    sources: tuple[str, ...]
    digest: str
    tables: tuple[str, ...] = ()
    calendar: Calendar | None = None

    def __str__(self) -> str:
        if self.first_day == self.last_day:
            return str(self.first_day)
        return f"{self.first_day} to {self.last_day}"


def plan(
    arrivals: Sequence[Arrival],
    *,
    computed: Iterable[date],
    lookback_days: int,
    refused: Collection[date] = (),
    calendar: Calendar | None = None,
) -> tuple[Segment, ...]:
    """Turn arrivals into as few runs as there are gaps between their days.

    Args:
        arrivals: files that are due; empty gives an empty plan.
        computed: days that are computed already.
        lookback_days: how far back a daily table reads, so how far a late or corrected file reaches forward.
        refused: days of which a file is refused as it lies there; they wait for it, and other days go on.
        calendar: whose days they are; without it, every day.

    A file for a day that is computed reaches the days after it that read it; a corrected reference file
    reaches every computed day. A correction reaches no further, however late it was known: a row keeps its
    place in windows and orders by when it was due, and moves nothing once it is older than they reach.
    """
    known, every = sorted(computed), calendar.every if calendar else 1
    newest = known[-1] if known else None
    due = {arrival.day for arrival in arrivals if arrival.day is not None}
    if newest is not None:
        for late in [day for day in due if day <= newest]:
            reach = min(late + lookback_days * ONE_DAY, newest)
            due |= {late + n * ONE_DAY for n in range(0, (reach - late).days + 1, every)}
        if any(arrival.day is None for arrival in arrivals):
            due |= set(known)
    days = sorted(due.difference(refused))
    return tuple(_segment(first, last, arrivals, calendar) for first, last in ranges(days, every))


def _segment(first: date, last: date, arrivals: Sequence[Arrival], calendar: Calendar | None) -> Segment:
    here = sorted(
        ((a.source, str(a.day), a.sha256) for a in arrivals if a.day is None or first <= a.day <= last),
    )
    digest = hashlib.sha256(json.dumps(here).encode()).hexdigest()[:16]
    sources = tuple(sorted({source for source, _, _ in here}))
    return Segment(first, last, sources, digest, calendar=calendar)


def not_computed(
    pending: Iterable[Arrival], computed: Mapping[tuple[str, date | None], str]
) -> list[Arrival]:
    """Those landed files whose bytes are not the ones their day was last computed from."""
    return [arrival for arrival in pending if computed.get((arrival.source, arrival.day)) != arrival.sha256]


def due_segments(settings: Settings, tables: Callable[[], Iterable[Table]]) -> tuple[Segment, ...]:
    """The days of a project whose files are due now; `tables` is asked only when there are any.

    Nothing is opened that a writer may hold.
    """
    sources = declared_sources(settings.project)
    computed = Computed(settings).files()
    due = not_computed(landed_files(settings, sources), computed)
    segments: list[Segment] = []
    for calendar in calendars(sources, tables()) if due else ():
        own = [source for source in sources if source.name in calendar.all_sources]
        segments += plan(
            [arrival for arrival in due if arrival.source in calendar.all_sources],
            computed=calendar.computed(computed),
            lookback_days=calendar.lookback_days,
            refused=refused_days(settings, own),
            calendar=calendar,
        )
    return tuple(segments)


def refused_days(settings: Settings, sources: Iterable[Source]) -> set[date]:
    """Days of which some source's file is refused as it lies there; other bytes since then are tried."""
    days = set()
    for source in sources:
        waiting = {landed.path for landed in pending(settings, source) if landed.refused is None}
        for path in failures(settings, source).keys() - waiting:
            with suppress(FileRefused):  # its name is no day, so it keeps none waiting
                days.add(day_of(source, path))
    return {day for day in days if day is not None}


def stale_segments(settings: Settings, tables: Iterable[Table]) -> tuple[Segment, ...]:
    """The computed days on which tables are not what their code and their inputs would make them now."""
    register, tables = Computed(settings), list(tables)
    files, builds = register.files(), register.builds()
    segments: list[Segment] = []
    for calendar in calendars(declared_sources(settings.project), tables):
        own = [table for table in tables if table.name in {*calendar.tables, *calendar.reference_tables}]
        names, stale = stale_tables(own, builds, calendar.computed(files))
        code = [(table.name, table.code, table.checks) for table in own]
        digest = hashlib.sha256(json.dumps([sorted(names), sorted(code)]).encode()).hexdigest()[:16]
        segments += (
            Segment(first, last, (), digest, tuple(sorted(names)), calendar)
            for first, last in ranges(sorted(stale), calendar.every)
        )
    return tuple(segments)


def landed_files(settings: Settings, sources: Iterable[Source]) -> list[Arrival]:
    """Every landed file that was taken in or waits to be; refused ones are left out until they change."""
    arrivals = []
    for source in sources:
        waiting = {landed.path: landed.day for landed in pending(settings, source) if landed.refused is None}
        done = {path: sha256 for path, sha256 in taken(settings, source).items() if path not in waiting}
        arrivals += [Arrival(source.name, day_of(source, path), sha256) for path, sha256 in done.items()]
        arrivals += [Arrival(source.name, day, _sha256(path)) for path, day in waiting.items()]
    return arrivals


def refuse_misnamed(settings: Settings, sources: Iterable[Source]) -> list[tuple[Source, FileRefused]]:
    """Files whose name is no day of their source, told once: no run can take them, so none is asked for."""
    refused = []
    for source in sources:
        for landed in pending(settings, source):
            if landed.refused is not None:
                remember(settings, source, [failed(landed.path, landed.refused)])
                refused.append((source, landed.refused))
    return refused


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

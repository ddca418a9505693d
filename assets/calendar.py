"""The days the project knows, as partitions: those of a calendar are the same for all its sources and tables.

Which calendars there are is `ml.calendars`'; which days have landed, landing/ says.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from assets.dbt_nodes import is_daily, parents_of, table_meta, tables_of
from assets.dbt_runner import DbtRunner
from ml.calendars import Calendar, calendars
from ml.settings import Settings
from ml.sources import Source
from ml.sources.catalogue import declared_sources
from ml.tables import Table

# A range is one run, never one run a day: a run costs seconds before it does anything.
ONE_RUN = dg.BackfillPolicy.single_run()

# By project, home, and what was declared when: every source and table asks.
_KNOWN: dict[tuple[Path, Path], tuple[object, tuple[Calendar, ...]]] = {}


def project_calendars(runner: DbtRunner) -> tuple[Calendar, ...]:
    """The calendars of a project, by the lineage of its tables."""
    settings = runner.settings
    sources, manifest = declared_sources(settings.project), runner.manifest
    of = [manifest["metadata"]["invocation_id"], *(source.model_dump_json() for source in sources)]
    place = settings.project, settings.home
    if place not in _KNOWN or _KNOWN[place][0] != of:
        _KNOWN[place] = of, calendars(sources, _lineage(runner))
    return _KNOWN[place][1]


def calendar_of(table: str, found: tuple[Calendar, ...]) -> Calendar | None:
    """The calendar of a table by day."""
    return next((one for one in found if table in one.tables), None)


def partitions(calendar: Calendar) -> dg.PartitionsDefinition:
    """A calendar's days as partitions, each named by its (first) day."""
    return _partitions(calendar.every, calendar.start, calendar.end)


def partitions_of(source: Source, settings: Settings) -> dg.PartitionsDefinition | None:
    """Those of the source's calendar; its own for one that is not declared; none for cadence once."""
    if not source.every_days or source.start is None:
        return None
    if any(one == source for one in declared_sources(settings.project)):
        for calendar in project_calendars(DbtRunner(settings)):
            if source.name in calendar.sources:
                return partitions(calendar)
    return _partitions(source.every_days, source.start, source.end)


def fresh(every: int) -> dg.FreshnessPolicy:
    """A file and what is made from it should be there soon after the day, or the week, is over."""
    after = timedelta(days=every)
    return dg.FreshnessPolicy.time_window(
        warn_window=after + timedelta(hours=2), fail_window=after + timedelta(days=1)
    )


def _partitions(every: int, start: date, end: date | None) -> dg.PartitionsDefinition:
    until = (end + timedelta(days=every)).isoformat() if end else None
    if every == 1:
        return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_date=until)
    return dg.WeeklyPartitionsDefinition(
        start_date=start.isoformat(), end_date=until, day_offset=start.isoweekday() % 7
    )


def _lineage(runner: DbtRunner) -> Iterator[Table]:
    """Every table without its code: what the manifest alone says."""
    for node in tables_of(runner.manifest):
        yield Table(
            name=node["name"],
            parents=tuple(parents_of(runner.manifest, node)),
            code="",
            checks="",
            is_daily=is_daily(node),
            lookback_days=int(table_meta(node).get("lookback_days", 0)),
        )

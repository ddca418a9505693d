"""What is computed together: sources and tables that reach each other, at steps of days or of weeks."""

from datetime import date
from typing import Any

import pytest

from ml.arrivals import plan
from ml.calendars import Calendar, calendars, ranges
from ml.computed import Arrival
from ml.errors import MixedCadences
from ml.sources import Source
from ml.stale import window
from ml.tables import Table

MONDAY = date(2024, 1, 1)


def source(name: str, cadence: str, start: date | None = None, **more: Any) -> Source:
    return Source.declare(
        {
            "name": name,
            "description": name,
            "cadence": cadence,
            "start": start,
            "columns": [{"name": "a", "type": "text"}],
            "key": ["a"],
            "event_at": "timestamp '2024-01-01'",
            "facts": [{"name": "it", "columns": ["*"], "known_at": "loaded_at"}],
            "corrections": {"known_at": "loaded_at"},
            "bad_rows": {"action": "fail"},
        }
        | more
    )


def table(name: str, *parents: str, is_daily: bool = True, lookback_days: int = 0) -> Table:
    return Table(name, parents, "", "", is_daily, lookback_days)


SOURCES = [
    source("days", "daily", MONDAY),
    source("also_days", "daily", date(2023, 12, 1), end=date(2024, 6, 30)),
    source("weeks", "weekly", MONDAY, end=date(2024, 1, 29)),
    source("shared", "once"),
    source("unread", "daily", MONDAY),
]
TABLES = [
    table("stg_shared", "raw.shared", is_daily=False),
    table("stg_days", "raw.days", "raw.also_days", "stg_shared"),
    table("int_days", "stg_days", lookback_days=28),
    table("stg_weeks", "raw.weeks"),
    table("spine", "stg_shared"),
    table("int_weeks", "stg_weeks", "spine", lookback_days=60),
]


def test_tables_that_share_no_dated_source_have_calendars_of_their_own() -> None:
    days, weeks = calendars(SOURCES, TABLES)
    assert (days.name, days.every, days.start, days.end) == ("days", 1, date(2023, 12, 1), None)
    assert (weeks.name, weeks.every, weeks.start, weeks.end) == ("weeks", 7, MONDAY, date(2024, 1, 29))
    assert days.sources == ("also_days", "days", "unread")
    assert days.tables == ("int_days", "stg_days")
    assert weeks.tables == ("int_weeks", "spine", "stg_weeks")
    assert days.references == weeks.references == ("shared",)
    assert days.reference_tables == weeks.reference_tables == ("stg_shared",)
    assert (days.lookback_days, weeks.lookback_days) == (28, 60)


def test_two_of_one_cadence_are_told_apart() -> None:
    other = [source("others", "daily", date(2025, 1, 1)), *SOURCES]
    named = [one.name for one in calendars(other, [*TABLES, table("stg_others", "raw.others")])]
    assert named == ["days", "days_of_others", "weeks"]


def test_sources_of_other_steps_may_not_meet_in_a_table() -> None:
    with pytest.raises(MixedCadences, match=r'"days" .daily.*"weeks" .weekly'):
        calendars(SOURCES, [*TABLES, table("both", "stg_days", "stg_weeks")])
    tuesdays = source("tuesdays", "weekly", date(2024, 1, 2))
    with pytest.raises(MixedCadences, match="the same weekday"):
        calendars([*SOURCES, tuesdays], [*TABLES, table("both", "raw.weeks", "raw.tuesdays")])


def test_a_week_is_named_by_its_first_day() -> None:
    _, weeks = calendars(SOURCES, TABLES)
    assert weeks.days(date(2024, 1, 2), date(2024, 1, 22)) == [date(2024, 1, n) for n in (8, 15, 22)]
    assert ranges([MONDAY, date(2024, 1, 8), date(2024, 1, 29)], 7) == [
        (MONDAY, date(2024, 1, 8)),
        (date(2024, 1, 29), date(2024, 1, 29)),
    ]


def test_weeks_are_due_as_weeks() -> None:
    _, weeks = calendars(SOURCES, TABLES)

    def due(*arrived: int, computed: tuple[int, ...] = ()) -> list[tuple[int, int]]:
        arrivals = [Arrival("weeks", date(2024, 1, n), "bytes") for n in arrived]
        known = [date(2024, 1, n) for n in computed]
        found = plan(arrivals, computed=known, lookback_days=10, calendar=weeks)
        return [(one.first_day.day, one.last_day.day) for one in found]

    assert due(1, 8, 22) == [(1, 8), (22, 22)]
    assert due(8, computed=(1, 8, 15, 22, 29)) == [(8, 15)]


def test_a_build_of_weeks_writes_weeks() -> None:
    reaching = Table("int_weeks", ("stg_weeks",), "", "", True, reach_days=7)
    written = window(reaching, MONDAY, date(2024, 1, 8), every=7)
    assert written == [MONDAY, date(2024, 1, 8), date(2024, 1, 15)]


def test_a_calendar_knows_its_own_computed_days() -> None:
    calendar = Calendar("weeks", 7, MONDAY, None, ("weeks",), ("stg_weeks",))
    files: list[tuple[str, date | None]] = [("weeks", MONDAY), ("days", date(2024, 1, 2)), ("shared", None)]
    assert calendar.computed(files) == [MONDAY]

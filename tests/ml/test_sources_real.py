"""The traps in the real files: two DST days, a snow storm, NA, 2400, hours that come twice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from headwater.nycflights import land
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import declared_sources, take_in
from tests.project_folder import ROOT

SPRING, AUTUMN, STORM, NIGHT = date(2013, 3, 10), date(2013, 11, 3), date(2013, 2, 8), date(2013, 7, 13)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A project with four days of each daily source and all reference files taken in."""
    base = tmp_path_factory.mktemp("real")
    settings = replace(Settings.from_env(ROOT), home=base / "home", landing=base / "landing")
    for day in (SPRING, AUTUMN, STORM, NIGHT):
        land(settings.landing, day, day)
    sources = {source.name: source for source in declared_sources(ROOT)}
    for name in ("airports", "airlines", "planes", "schedules", "weather", "flights"):
        files = sorted((settings.landing / name).glob("*.csv"))
        intake = take_in(Workshop(settings), settings, sources[name], files).raise_failed()
        assert not sum(file.n_quarantined for file in intake.taken)
    yield settings


def _rows(settings: Settings, sql: str) -> list[Row]:
    workshop = Workshop(settings)
    with workshop.turn(), workshop.connect() as con:
        rows: list[Row] = con.execute(sql).to_arrow_table().to_pylist()
        return rows


def _landed_lines(settings: Settings, path: str) -> list[list[str]]:
    return [line.split(",") for line in Path(settings.landing, path).read_text().splitlines()[1:]]


def test_every_landed_row_is_in_raw_with_its_number_and_its_words(taken: Settings) -> None:
    lines = _landed_lines(taken, f"flights/{STORM}.csv")
    rows = _rows(taken, f"from raw.flights where day = '{STORM}' order by row_number")

    assert [row["row_number"] for row in rows] == list(range(1, len(lines) + 1))
    for line, row in zip(lines, rows, strict=True):
        values = list(row.values())[:18]
        assert ["NA" if value is None else str(value) for value in values] == line[:18]


def test_na_is_no_value_and_a_missing_tail_number_is_kept_as_none(taken: Settings) -> None:
    (counts,) = _rows(
        taken,
        f"""select count(*) filter (tailnum is null) as no_tail,
        count(*) filter (tailnum is null and dep_time is not null) as no_tail_but_left,
        count(*) filter (tailnum = 'NA') as na from raw.flights where day = '{STORM}'""",
    )
    assert counts == {"no_tail": 161, "no_tail_but_left": 0, "na": 0}


def test_what_is_known_of_a_cancelled_flight_is_known_at_scheduled_departure(taken: Settings) -> None:
    rows = _rows(taken, "from raw.flights where dep_time is null")

    assert len(rows) > 472
    for row in rows:
        assert row["departure_known_at"] == row["arrival_known_at"] == row["event_at"]


def test_known_times_agree_with_python_s_clocks(taken: Settings) -> None:
    """Departures and landings computed a second time, with zoneinfo, on a storm day and both DST days."""
    zones = {row["faa"]: row["tzone"] for row in _rows(taken, "from raw.airports_current")}
    zones |= dict.fromkeys(("BQN", "SJU", "PSE", "STT"), "America/Puerto_Rico")
    rows = _rows(taken, "from raw.flights")
    landed = [row for row in rows if row["arr_delay"] is not None]
    assert len(landed) > 2000
    assert {row["day"] for row in landed} == {SPRING, AUTUMN, STORM, NIGHT}
    for row in rows:
        scheduled = _local(row["day"], row["sched_dep_time"], "America/New_York")
        assert row["event_at"] == scheduled
        assert row["schedule_known_at"] == scheduled - timedelta(days=7)
        assert row["known_at"] == max(row["departure_known_at"], row["arrival_known_at"])
    for row in landed:
        left = row["event_at"] + timedelta(minutes=row["dep_delay"])
        there = left.replace(tzinfo=UTC).astimezone(ZoneInfo(zones[row["dest"]])).date()
        came = _local(there, row["arr_time"], zones[row["dest"]])
        if came < left:
            came = _local(there + timedelta(days=1), row["arr_time"], zones[row["dest"]])
        assert (row["departure_known_at"], row["arrival_known_at"]) == (left, came)
        assert came - left >= timedelta(minutes=row["air_time"])


def test_a_diverted_flight_is_known_a_day_after_it_left(taken: Settings) -> None:
    rows = _rows(taken, "from raw.flights where dep_time is not null and arr_delay is null")

    assert rows
    for row in rows:
        assert row["arrival_known_at"] == row["departure_known_at"] + timedelta(days=1)


def test_hhmm_2400_is_midnight_at_the_day_s_end(taken: Settings) -> None:
    rows = _rows(taken, f"from raw.flights where dep_time = 2400 and day = '{NIGHT}'")

    assert len(rows) == 2
    for row in rows:
        assert row["departure_known_at"] == _local(NIGHT + timedelta(days=1), 0, "America/New_York")


def test_weather_hours_are_told_apart_where_the_local_hour_comes_twice(taken: Settings) -> None:
    autumn = _rows(taken, f"from raw.weather where day = '{AUTUMN}' and hour = 1 order by origin, time_hour")
    spring = _rows(taken, f"select distinct hour from raw.weather where day = '{SPRING}' order by 1")

    assert [row["time_hour"] for row in autumn] == [datetime(2013, 11, 3, hour) for hour in (5, 6)] * 3
    assert [row["known_at"] for row in autumn] == [datetime(2013, 11, 3, hour) for hour in (6, 7)] * 3
    assert [row["hour"] for row in spring[:3]] == [0, 1, 3]


def test_a_schedule_is_known_a_week_ahead(taken: Settings) -> None:
    rows = _rows(taken, f"from raw.schedules where day = '{STORM}'")

    assert {date(row["year"], row["month"], row["day_of_month"]) for row in rows} == {date(2013, 2, 15)}
    for row in rows:
        assert row["known_at"] == row["event_at"] - timedelta(days=7)
        assert row["event_at"] == _local(date(2013, 2, 15), row["sched_dep_time"], "America/New_York")


def test_reference_files_are_known_before_the_first_day(taken: Settings) -> None:
    for name, n_rows in (("airports", 1458), ("planes", 3322), ("airlines", 16)):
        (found,) = _rows(
            taken, f"select count(*) as n, max(known_at) as at, max(day) as day from raw.{name}_current"
        )
        assert found["n"] == n_rows
        assert found["at"] < datetime(2013, 1, 1)
        assert found["day"] is None


def _local(day: date, hhmm: int, zone: str) -> datetime:
    """The UTC instant (naive) at which a clock in `zone` shows `hhmm`; 2400 is the day's end."""
    clock = datetime(day.year, day.month, day.day) + timedelta(hours=hhmm // 100, minutes=hhmm % 100)
    return clock.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)

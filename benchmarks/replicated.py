"""More history than there is: the raw rows of 2013 again in later years, with other tail numbers.

Rows go straight into the workshop's raw tables, which is quicker than landing files. What is built from them
is each benchmark's own.
"""

from datetime import date, timedelta

import duckdb

YEAR = timedelta(days=365)
FIRST, LAST = date(2013, 1, 1), date(2013, 12, 31)
_DAILY = ("flights", "schedules", "weather")
_TAILS = {"flights", "schedules", "planes"}


def new_year(n: int) -> date:
    """The first day of the n-th year, 2013 being the 0th; every year has 365 days."""
    return FIRST + n * YEAR


def add_days(con: duckdb.DuckDBPyConnection, first: date, last: date) -> None:
    """Add the raw rows of days of one later year, those that raw has not yet, and the year's aircraft."""
    n = (first - FIRST) // YEAR
    for source in _DAILY:
        days = f"day between date '{first - n * YEAR}' and date '{last - n * YEAR}'"
        missing = f"day + {n * YEAR.days} not in (select day from raw.files where source = '{source}')"
        con.execute(f"insert into raw.{source} {_shifted(con, source, n)} where {days} and {missing}")
        files = _shifted(con, "files", n)
        con.execute(f"insert into raw.files {files} where source = '{source}' and {days} and {missing}")
    if not con.execute("select 1 from raw.planes where tailnum like ?", [f"%-{n}"]).fetchone():
        con.execute(f"insert into raw.planes {_shifted(con, 'planes', n)} where tailnum not like '%-%'")


def _shifted(con: duckdb.DuckDBPyConnection, table: str, n: int) -> str:
    changed = []
    for name, sql_type, *_ in con.execute(f"describe raw.{table}").fetchall():
        if name == "tailnum" and table in _TAILS:
            changed.append(f"tailnum || '-{n}' as tailnum")
        elif name == "source_file_id" and table != "planes":
            changed.append(f"source_file_id || '-{n}' as source_file_id")
        elif sql_type == "TIMESTAMP" and name != "loaded_at" and table != "planes":
            changed.append(f"{name} + interval {n * YEAR.days} days as {name}")
        elif sql_type == "DATE":
            changed.append(f"{name} + {n * YEAR.days} as {name}")
    return f"select * replace ({', '.join(changed)}) from raw.{table}"

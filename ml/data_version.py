"""What a table's rows are called: digests of all their values, day by day.

Whether anything has to be computed because of them is `ml.stale`'s.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

from ml.canonical import digest

NO_ROWS = "no rows"


def row_versions(
    connection: Any, relation: str, days: Iterable[date | None], *, is_daily: bool
) -> dict[date | None, str]:
    """The version of each of the days, or of the whole table (key None) where it isn't daily.

    The same rows in any order have the same, and so do columns of the same names and types only. It costs
    0.2 CPU-seconds for 255,000 rows of 65 columns.
    """
    columns = connection.execute(f"describe {relation}").fetchall()
    schema = digest(repr([column[:2] for column in columns]))[:8]
    values = ", ".join(f'"{column[0]}"' for column in columns)
    rows = f"count(*) || '-' || sum(hash({values})::hugeint) from {relation}"
    if not is_daily:
        (version,) = connection.execute(f"select {rows}").fetchone()
        return {None: f"{schema}-{version}" if version else NO_ROWS}
    wanted = [day for day in days if day is not None]
    found = connection.execute(
        f"select day, {rows} where day between $first and $last group by day",
        {"first": min(wanted), "last": max(wanted)},
    ).fetchall()
    by_day = {day: f"{schema}-{version}" for day, version in found}
    return {day: by_day.get(day, NO_ROWS) for day in wanted}

"""How well changed units are told from real days: false alarms over the year, and planted conversions found.

Each day of 2013 is compared with the days before it as a landed file is: once as it came, once with its
values converted. Nothing is timed.
"""

import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from benchmarks.built import taken_in
from benchmarks.measure import show
from ml.lake.workshop import Workshop
from ml.sources import declared_sources
from ml.sources.declaration import Source
from ml.sources.drift import FEWEST_VALUES
from ml.sources.units import CONVERSIONS, distance

Quantiles = list[float] | None
UNTIL = date(2013, 12, 31)
_MINUTES = "60 times as much (minutes to seconds, hours to minutes)"
_METRES_A_SECOND = "miles per hour to metres per second"
PLANTED = {
    "temp": "degrees Fahrenheit to Celsius",
    "dewp": "degrees Fahrenheit to Celsius",
    "humid": "a 100th",
    "wind_speed": _METRES_A_SECOND,
    "wind_gust": _METRES_A_SECOND,
    "pressure": "hectopascals to inches of mercury",
    "distance": "miles to kilometres",
    "dep_delay": _MINUTES,
    "arr_delay": _MINUTES,
    "air_time": _MINUTES,
}


def main() -> None:
    """Land the year, compare each day of each declared column, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        settings = taken_in(Path(folder), UNTIL)
        workshop = Workshop(settings)
        with workshop.turn() as turn, turn.connect() as con:
            held = con.execute(
                "select source, column_name, case when n_values >= ? then quantiles end "
                "from raw.fingerprints where categories is null order by day",
                [FEWEST_VALUES],
            ).fetchall()
    rows = []
    for source in declared_sources(settings.project):
        for column in source.drift.units.columns if source.drift.units else ():
            days = [quantiles for name, of, quantiles in held if (name, of) == (source.name, column)]
            rows.append(_row(source, column, days))
    show("units: each day of 2013 beside those before it", rows)
    n_alarms, n_compared = (sum(int(str(row[name])) for row in rows) for name in ("false alarms", "days"))
    print(f"\n{n_alarms} false alarms in {n_compared:,} comparisons.")


def _row(source: Source, column: str, days: list[Quantiles]) -> dict[str, object]:
    """Of a column: days compared, false alarms, and the share of days on which its conversion is found."""
    policy = source.drift.units
    assert policy is not None
    usual = list(_distances(days, policy.window_days))
    planted = list(_distances(days, policy.window_days, *CONVERSIONS[PLANTED[column]]))
    return {
        "column": f"{source.name}.{column}",
        "times": policy.times,
        "days": len(usual),
        "false alarms": sum(one > policy.times for one in usual),
        "planted": PLANTED[column].partition(" (")[0],
        "found, %": 100 * sum(one > policy.times for one in planted) / len(planted),
    }


def _distances(
    days: list[Quantiles], n_before: int, factor: float = 1.0, offset: float = 0.0
) -> Iterator[float]:
    """A day without enough values (None) is in the window, but neither compared nor compared with."""
    for at, day in enumerate(days):
        before = [one for one in days[max(0, at - n_before) : at] if one]
        if day and 2 * len(before) >= n_before:
            yield distance([factor * one + offset for one in day], before)

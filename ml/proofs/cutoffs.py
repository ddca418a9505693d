"""At which instants an audit looks, a sample that a seed repeats, and which days a look concerns.

What is done at a cutoff does not belong here.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import duckdb

from ml.proofs.worlds import first_known, last_known
from ml.sources.declaration import Source

_A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Cutoff:
    """An instant (UTC), and why it was chosen."""

    at: datetime
    why: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Sample:
    """How many cutoffs of which days (both included; None: from the first, to the last there is).

    With two or more, one is on a day on which the clocks of `zones` change, if there is one; with three or
    more, one is at a time when the row that became known the longest after it happened was not known yet.
    """

    n: int
    seed: int = 0
    first_day: date | None = None
    last_day: date | None = None
    zones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Window:
    """The days that a cutoff can change: the first with rows known later, the last that a world has."""

    first_day: date
    last_day: date


def window(
    con: duckdb.DuckDBPyConnection,
    sources: Iterable[Source],
    at: datetime,
    days: int,
    *,
    lookback_days: int,
    every: int = 1,
) -> Window:
    """Which days differ from `origin` in a world of cutoff `at` that has rows known up to `days` later.

    At least the day before the cutoff (the week before, where days come `every` seven) is among them, so that
    there are rows to compare; days that no table, however indirectly, declares to look back to from there are
    not.
    """
    eve = (at - timedelta(days=every)).date()
    first, last = eve, at.date()
    for source in sources:
        row = con.execute(
            f"select min(day) filter (where {last_known(source)} > $at), "
            f"max(day) filter (where {first_known(source)} <= $until) "
            f'from origin.raw."{source.name}"',
            {"at": at, "until": at + timedelta(days=days)},
        ).fetchone()
        earliest, latest = row or (None, None)
        first, last = min(first, earliest or first), max(last, latest or last)
    return Window(max(first, eve - timedelta(days=lookback_days)), last)


def choose(
    con: duckdb.DuckDBPyConnection, sources: Sequence[Source], due: Mapping[str, str], sample: Sample
) -> tuple[Cutoff, ...]:
    """Cutoffs for the days that `origin` has files of, in order of time.

    `due` names, by relation, the column that says when a row is due: a cutoff is such an instant of a row
    that stands, so that rows are due right then; a minute of the day where there is none.
    """
    days = _days(con, [source.name for source in sources], sample)
    dice = random.Random(sample.seed)  # noqa: S311  a sample, not a secret
    found: list[Cutoff] = []
    if sample.n > 1:
        found += _clock_change(con, days, due, sample.zones, dice)
    if sample.n > 2:  # noqa: PLR2004
        found += _latest_known(con, sources, days)
    for part in _parts(days, sample.n - len(found)):
        found.append(Cutoff(_instant(con, dice.choice(part), due, dice), "sampled"))
    return tuple(sorted(found, key=lambda cutoff: cutoff.at))


def _days(con: duckdb.DuckDBPyConnection, sources: list[str], sample: Sample) -> list[date]:
    rows = con.execute(
        "select distinct day from origin.raw.files where day between coalesce($first, day) "
        "and coalesce($last, day) and list_contains($sources, source) order by day",
        {"first": sample.first_day, "last": sample.last_day, "sources": sources},
    ).fetchall()
    return [day for (day,) in rows]


def _parts(days: Sequence[date], n: int) -> Iterable[Sequence[date]]:
    """The days in `n` parts of equal length, fewer when there are fewer days."""
    n = min(n, len(days))
    for part in range(n):
        yield days[part * len(days) // n : (part + 1) * len(days) // n]


def _instant(
    con: duckdb.DuckDBPyConnection, day: date, due: Mapping[str, str], dice: random.Random
) -> datetime:
    start = datetime.combine(day, time())
    listed = " union ".join(
        f"select {column} as due_at from origin.{relation} where {column} >= $start and {column} < $end"
        for relation, column in sorted(due.items())
    )
    if listed:
        rows = con.execute(
            f"select due_at from ({listed}) order by due_at", {"start": start, "end": start + _A_DAY}
        ).fetchall()
        if rows:
            at: datetime = dice.choice(rows)[0]
            return at
    return start + timedelta(minutes=dice.randrange(24 * 60))


def _clock_change(
    con: duckdb.DuckDBPyConnection,
    days: Sequence[date],
    due: Mapping[str, str],
    zones: Iterable[str],
    dice: random.Random,
) -> list[Cutoff]:
    changes = [
        (day, zone)
        for zone in zones
        for (day,) in con.execute(
            "select day from (select unnest($days::date[]) as day) where interval 1 day <> "
            "timezone($zone, (day + 1)::timestamptz) - timezone($zone, day::timestamptz) order by day",
            {"days": list(days), "zone": zone},
        ).fetchall()
    ]
    if not changes:
        return []
    day, zone = dice.choice(changes)
    return [Cutoff(_instant(con, day, due, dice), f"the clock changes in {zone}")]


def _latest_known(
    con: duckdb.DuckDBPyConnection, sources: Iterable[Source], days: Sequence[date]
) -> list[Cutoff]:
    if not days:
        return []
    found = []
    for source in sources:
        found += con.execute(
            f'select known_at - event_at as delay, event_at, known_at from origin.raw."{source.name}" '
            "where day between $first and $last and known_at > event_at "
            "order by delay desc, known_at, row_number limit 1",
            {"first": days[0], "last": days[-1]},
        ).fetchall()
    if not found:
        return []
    delay, event_at, _ = max(found)
    at = (event_at + delay / 2).replace(second=0, microsecond=0)
    return [Cutoff(max(at, event_at), "a row was known very late")]

"""A small world to plant leaks in: orders, sensor readings and prices of three shops over four days.

Not flights, since the library must not know what it predicts. Everything is deterministic.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from ml.lake.workshop import Workshop
from ml.proofs.rebuild import Table
from ml.settings import Settings
from ml.sources import Source, take_in

DAYS = [date(2024, 3, 9) + timedelta(days=n) for n in range(4)]
CUTOFF = datetime(2024, 3, 11, 12, 10)
SHOPS = ("north", "south", "west")


def _source(name: str, columns: Sequence[Mapping[str, Any]], **parts: Any) -> Source:
    declared = {"name": name, "description": f"The {name}.", "cadence": "daily", "start": str(DAYS[0])}
    declared |= {"corrections": {"known_at": "loaded_at"}}
    return Source.declare(
        declared | {"columns": list(columns), "bad_rows": {"action": "fail"}} | parts, "a test"
    )


ORDERS = _source(
    "orders",
    [
        {"name": "order_id", "type": "text"},
        {"name": "shop", "type": "text"},
        {"name": "placed_at", "type": "timestamp"},
        {"name": "amount", "type": "real"},
        {"name": "settled_at", "type": "timestamp"},
        {"name": "is_returned", "type": "boolean"},
        {"name": "refund", "type": "integer"},
    ],
    key=["order_id"],
    event_at="placed_at",
    facts=[
        {"name": "order", "columns": ["*"], "known_at": "placed_at"},
        {"name": "outcome", "columns": ["settled_at", "is_returned", "refund"], "known_at": "settled_at"},
    ],
)
READINGS = _source(
    "readings",
    [
        {"name": "shop", "type": "text"},
        {"name": "hour_at", "type": "timestamp"},
        {"name": "visitors", "type": "integer"},
    ],
    key=["shop", "hour_at"],
    event_at="hour_at",
    facts=[{"name": "reading", "columns": ["*"], "known_at": "hour_at + interval 1 hour"}],
)
PRICES = _source(
    "prices",
    [
        {"name": "shop", "type": "text"},
        {"name": "valid_at", "type": "timestamp"},
        {"name": "reported_at", "type": "timestamp"},
        {"name": "price", "type": "integer"},
    ],
    key=["shop", "valid_at", "reported_at"],
    event_at="valid_at",
    facts=[{"name": "price", "columns": ["*"], "known_at": "reported_at"}],
)
SOURCES = (ORDERS, READINGS, PRICES)


def orders(day: date) -> Iterator[tuple[Any, ...]]:
    """One every 40 minutes and shop, settled five hours later, some more than a day; refunds are small until
    the cutoff and large for what is ordered after it."""
    start = datetime(day.year, day.month, day.day)
    for n in range(36):
        for k, shop in enumerate(SHOPS):
            placed = start + timedelta(minutes=40 * n + 7 * k)
            settled = placed + timedelta(hours=30 if n % 9 == 4 else 5, minutes=n)
            refund = 2000 + n if placed > CUTOFF else n % 4
            amount = round(10 + (37 * n + 11 * k + day.day) % 50 + 0.1 * k, 2)
            yield (
                f"{shop}-{day:%m%d}-{n:02d}",
                shop,
                placed,
                amount,
                settled,
                (n * n + 3 * k + day.day) % 7 < 2,
                refund,
            )


def readings(day: date) -> Iterator[tuple[Any, ...]]:
    """One an hour and shop, higher every hour."""
    start = datetime(day.year, day.month, day.day)
    for n in range(24):
        for k, shop in enumerate(SHOPS):
            yield shop, start + timedelta(hours=n), 1000 * day.day + 10 * n + k


def prices(day: date) -> Iterator[tuple[Any, ...]]:
    """Four a day and shop: reported at once and revised seven hours later; the noon one reported late."""
    start = datetime(day.year, day.month, day.day)
    for n in range(4):
        for k, shop in enumerate(SHOPS):
            valid = start + timedelta(hours=6 * n)
            delay = timedelta(hours=4) if n == 2 else timedelta(minutes=1)
            yield shop, valid, valid + delay, 100 * day.day + 10 * n + k
            yield shop, valid, valid + delay + timedelta(hours=7), 100 * day.day + 10 * n + k + 5


@dataclass(frozen=True)
class World:
    """A workshop filled with the sources, to which tables can be added."""

    settings: Settings
    workshop: Workshop

    def build(self, tables: Sequence[Table]) -> None:
        """Make the tables stand in the workshop, for all days."""
        with self.workshop.turn(), self.workshop.connect() as con:
            for table in compiled(tables, DAYS[0], DAYS[-1] + timedelta(days=9)):
                con.execute(f"create schema if not exists {table.schema}")
                con.execute(f"create or replace table {table.schema}.{table.name} as {table.sql}")

    def raw_row(self, source: str, source_file_id: str, row_number: int) -> dict[str, Any]:
        """What raw holds of a row of a file."""
        with self.workshop.turn(), self.workshop.connect() as con:
            found = con.execute(
                f"select * from raw.{source} where source_file_id = ? and row_number = ?",
                [source_file_id, row_number],
            )
            names = [column[0] for column in found.description or ()]
            (row,) = found.fetchall()
            return dict(zip(names, row, strict=True))


def made_in(settings: Settings) -> World:
    """The world in the settings' folders."""
    world = World(settings, Workshop(settings))
    for source, rows in ((ORDERS, orders), (READINGS, readings), (PRICES, prices)):
        folder = settings.landing / source.name
        folder.mkdir(parents=True)
        files = []
        for day in DAYS:
            file = folder / f"{day}.csv"
            with file.open("w", newline="") as out:
                writer = csv.writer(out)
                writer.writerow(column.name for column in source.columns)
                writer.writerows(rows(day))
            files.append(file)
        take_in(world.workshop, settings, source, files).raise_failed()
    return world


def compiled(tables: Sequence[Table], first_day: date, last_day: date) -> tuple[Table, ...]:
    """The tables for these days: `{days}` in their SQL becomes the condition."""
    days = f"day between date '{first_day}' and date '{last_day}'"
    return tuple(replace(table, sql=table.sql.replace("{days}", days)) for table in tables)


SPINE = Table(
    "features",
    "order_spine",
    "select order_id, shop, amount, placed_at as prediction_at, day from workshop.raw.orders_current "
    "where {days}",
    reads=("raw.orders_current",),
    key=("order_id",),
    types={"order_id": "VARCHAR", "prediction_at": "TIMESTAMP"},
)


def features(sql: str, *, reads: Sequence[str] = ()) -> Table:
    """Feature table `order_features`: `sql` gives x over step `spine` (order_id, shop, amount, prediction_at,
    day)."""
    return Table(
        "features",
        "order_features",
        f"with spine as (select * from workshop.features.order_spine where {{days}}) {sql}",
        lookback_days=3,
        reads=("features.order_spine", *(f"raw.{name}_current" for name in reads)),
        key=("order_id",),
        types={"order_id": "VARCHAR", "prediction_at": "TIMESTAMP", "x": ""},
    )

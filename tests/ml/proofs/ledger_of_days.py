"""A small project of three tables built by day, with the two ways to write a day: replaced, and appended.

What a proof finds in it is the tests' matter.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import duckdb

from ml.lake.workshop import Workshop
from ml.proofs.rebuild import Table

LOOKBACK = 2
D = [date(2024, 1, n) for n in range(1, 9)]
SALES = Table(
    "staging",
    "sales",
    "select shop, amount, day from workshop.raw.sales_current where day between {first} and {last}",
    reads=("raw.sales_current",),
    key=("shop", "day"),
    unique_id="model.shops.sales",
)
TOTALS = Table(
    "features",
    "totals",
    "select shop, total, mean, day from (select shop, day, cast(sum(amount) over w as integer) as total, "
    "avg(amount) over w as mean from workshop.staging.sales where day between {first} - 2 and {last} "
    "window w as (partition by shop order by day range interval '2 days' preceding)) "
    "where day between {first} and {last}",
    reads=("staging.sales",),
    key=("shop", "day"),
    lookback_days=LOOKBACK,
    unique_id="model.shops.totals",
)
TABLES = (SALES, TOTALS)
# Reads what it has written itself: how many rows there were when a day was built.
COUNTING = Table(
    "features",
    "counting",
    "select shop, (select count(*) from workshop.features.counting) as n_before, day "
    "from workshop.staging.sales where day between {first} and {last}",
    reads=("staging.sales", "features.counting"),
    key=("shop", "day"),
    unique_id="model.shops.counting",
)


def compiled(tables: Iterable[Table], first: date, last: date) -> tuple[Table, ...]:
    """The tables as a run for these days has them."""
    days = {"first": f"date '{first}'", "last": f"date '{last}'"}
    return tuple(replace(table, sql=table.sql.format(**days)) for table in tables)


Write = Callable[[duckdb.DuckDBPyConnection, Table, date, date], None]


def replacing(con: duckdb.DuckDBPyConnection, table: Table, first: date, last: date) -> None:
    """Delete the days and insert them."""
    con.execute(f"delete from {table.relation} where day between ? and ?", [first, last])
    appending(con, table, first, last)


def appending(con: duckdb.DuckDBPyConnection, table: Table, first: date, last: date) -> None:
    """Insert the days, whatever is there."""
    con.execute(f"insert into {table.relation} by name {table.sql}")


@dataclass(frozen=True)
class Shops:
    """The project's workshop: raw versions of each day, and tables built over some days at a time."""

    workshop: Workshop
    tables: Sequence[Table] = TABLES
    write: Write = replacing

    def make(self) -> "Shops":
        """Raw and empty tables."""
        self.workshop.file.parent.mkdir(parents=True, exist_ok=True)
        with self.workshop.turn(), self.workshop.connect() as con:
            con.execute("""
                create schema raw; create schema staging; create schema features;
                create table raw.files
                (source varchar, day date, source_file_id varchar, loaded_at timestamp);
                create table raw.sales
                (shop varchar, amount integer, source_file_id varchar, day date, loaded_at timestamp);
                create view raw.sales_current as select rows_.* from raw.sales as rows_ semi join (
                    select day, source_file_id, loaded_at from raw.files where source = 'sales'
                    qualify row_number() over (partition by day order by loaded_at desc) = 1
                ) as newest on rows_.loaded_at = newest.loaded_at and rows_.day = newest.day;
                create table staging.sales (shop varchar, amount integer, day date);
                create table features.totals (shop varchar, total integer, mean double, day date);
                create table features.counting (shop varchar, n_before bigint, day date);
            """)
        return self

    def take_in(self, day: date, amounts: dict[str, int]) -> str:
        """A version of a day's file; gives its id, which names its rows."""
        file = "-".join(f"{shop}{amount}" for shop, amount in sorted(amounts.items()))
        with self.workshop.turn(), self.workshop.connect() as con:
            (n,) = con.execute("select count(*) from raw.files").fetchone() or (0,)
            loaded = datetime(2024, 2, 1) + timedelta(seconds=n)
            con.execute("insert into raw.files values ('sales', ?, ?, ?)", [day, file, loaded])
            rows = [(shop, amount, file, day, loaded) for shop, amount in amounts.items()]
            con.executemany("insert into raw.sales values (?, ?, ?, ?, ?)", rows)
        return file

    def build(self, first: date, last: date | None = None) -> None:
        """Build the tables for some days, and for those after them that read them."""
        until = (last or first) + timedelta(days=LOOKBACK)
        with self.workshop.turn(), self.workshop.connect() as con:
            con.execute("use workshop")
            for table in compiled(self.tables, first, until):
                self.write(con, table, first, until)

    def arrive(self, day: date, amounts: dict[str, int]) -> None:
        """Take a file in and build what reads it."""
        self.take_in(day, amounts)
        self.build(day)

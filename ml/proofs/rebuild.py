"""Tables computed again from their compiled SQL, in memory, beside the workshop as it stands.

What is proved by it (no leak, incremental equals full, repeatable SQL) does not belong here; nor does dbt:
compiled SQL comes in as data.
"""

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import duckdb

from ml.errors import TableNotRebuilt
from ml.lake.workshop import Workshop

Keep = Literal["outside", "before", "nothing"]


@dataclass(frozen=True)
class Table:
    """A table of the workshop with its compiled SQL, which names tables as workshop.<schema>.<name>.

    Compiled for days `first` to `last`, the SQL of a table `is_by_day` yields the days `first` to
    `last + reach_days`. `reads` are the relations ("schema.name") it reads, `key` the columns that name a
    row, `types` the declared types by column; all may be left empty. `is_published`: it is
    read by others, row by row as known.
    """

    schema: str
    name: str
    sql: str
    is_view: bool = False
    is_by_day: bool = True
    reach_days: int = 0
    lookback_days: int = 0
    unique_id: str = ""
    reads: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    is_published: bool = False

    @property
    def relation(self) -> str:
        """Its name within the workshop, as `reads` has it."""
        return f"{self.schema}.{self.name}"


def downstream(tables: Sequence[Table], relations: Iterable[str]) -> tuple[Table, ...]:
    """Those of `tables` (upstream first) that read any of `relations`, directly or not."""
    touched, found = set(relations), []
    for table in tables:
        if touched & {table.relation, *table.reads}:
            touched.add(table.relation)
            found.append(table)
    return tuple(found)


def upstream(tables: Sequence[Table], relations: Iterable[str]) -> tuple[Table, ...]:
    """Those of `tables` (upstream first) that any of `relations` is made from, and these themselves."""
    wanted, found = set(relations), []
    for table in reversed(tables):
        if table.relation in wanted:
            wanted.update(table.reads)
            found.append(table)
    return tuple(reversed(found))


def lookback(tables: Sequence[Table]) -> int:
    """How many days back any of `tables` looks, through all that it reads."""
    return _longest(tables, {table.relation: table.lookback_days for table in tables})


def reach(tables: Sequence[Table]) -> int:
    """How many days ahead any of `tables` looks, through all that it reads."""
    return _longest(tables, {table.relation: table.reach_days for table in tables})


def _longest(tables: Sequence[Table], of: Mapping[str, int]) -> int:
    reads = {table.relation: table.reads for table in tables}

    @functools.cache
    def days(relation: str) -> int:
        return of[relation] + max(map(days, reads[relation]), default=0) if relation in reads else 0

    return max(map(days, reads), default=0)


@dataclass(frozen=True)
class Snapshot:
    """The workshop as it stood at one moment: a DuckDB file that nobody writes."""

    file: Path

    @contextlib.contextmanager
    def scratch(self, threads: int = 1, memory: str | None = None) -> Iterator["Scratch"]:
        """A connection in memory with the snapshot attached as `origin`, and an empty catalog `workshop`.

        `memory` is DuckDB's limit (as in "4GB"); what does not fit lies beside the snapshot.
        Float sums repeat to the bit with one thread only.
        """
        with duckdb.connect() as con:
            for setting in (
                "TimeZone = 'UTC'",
                f"threads = {threads}",
                "autoinstall_known_extensions = false",
                f"temp_directory = '{self.file}.tmp'",
            ):
                con.execute(f"set {setting}")
            if memory:
                con.execute(f"set memory_limit = '{memory}'")
            con.execute(f"attach '{self.file}' as origin (read_only)")
            scratch = Scratch(con)
            scratch.clear()
            yield scratch


@contextlib.contextmanager
def copied(workshop: Workshop, wait_s: float = 600) -> Iterator[Snapshot]:
    """A copy of the workshop in a temporary folder; its turn is held only while the file is copied.

    Raises:
        TurnNotGranted, WorkshopUnreadable: as `Workshop` does.
    """
    with tempfile.TemporaryDirectory(prefix="headwater-") as folder:
        copy = Path(folder) / "workshop.duckdb"
        with workshop.turn(wait_s):
            _settle(workshop)
            shutil.copyfile(workshop.file, copy)
        yield Snapshot(copy)


@contextlib.contextmanager
def held(workshop: Workshop) -> Iterator[Snapshot]:
    """The workshop's own file, read while the caller's turn keeps writers away; no copy is made.

    No connection to it may be open inside the block.
    """
    with workshop.turn():
        _settle(workshop)
        yield Snapshot(workshop.file)


def _settle(workshop: Workshop) -> None:
    """Move what a writer left in the log beside the file into the file."""
    with workshop.connect() as connection:
        connection.execute("checkpoint")


class Scratch:
    """The catalog `workshop` being rebuilt beside `origin`, through one `connection` (session in UTC)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def clear(self) -> None:
        """Forget everything rebuilt or altered so far."""
        known = self._names("select database_name from duckdb_databases()")
        self.connection.execute("use memory")
        if "workshop" in known:
            self.connection.execute("detach workshop")
        self.connection.execute("attach ':memory:' as workshop; create schema workshop.rebuilt")
        self.connection.execute("create schema if not exists workshop.raw")

    def raw(self, altered: Mapping[str, str] | None = None) -> None:
        """Show raw as it stands, but for the relations in `altered` (name: select over `origin.raw`).

        Raw's own views, such as those of the newest versions, are made over what is shown.
        """
        for name in self._names(
            "select table_name from duckdb_tables() where database_name = 'origin' and schema_name = 'raw'"
        ):
            select = (altered or {}).get(name, f'select * from origin.raw."{name}"')
            self.connection.execute(f'create or replace view workshop.raw."{name}" as {select}')
        self.connection.execute("use workshop")
        self._make_views(
            self._names(
                "select sql from duckdb_views() where database_name = 'origin' and schema_name = 'raw'"
            )
        )
        self.connection.execute("use memory")

    def rebuild(
        self,
        tables: Sequence[Table],
        first_day: date | None = None,
        last_day: date | None = None,
        *,
        keep: Keep = "outside",
        only: Collection[str] | None = None,
        where: Mapping[str, str] | None = None,
    ) -> None:
        """Run the SQL of `tables`, upstream first; the relations are then in catalog `workshop`.

        Args:
            tables: compiled for the days `first_day` to `last_day` (left out: for all there are).
            keep: which days of a table built by day come from `origin`: those outside the window, those
                before it, or none.
            only: relations to run; the others of `tables` are shown as they stand. None: all.
            where: conditions by relation, for rows that nobody will read otherwise.

        Raises:
            TableNotRebuilt: DuckDB refused a table's SQL.
        """
        for table in tables:
            self.connection.execute(f'create schema if not exists workshop."{table.schema}"')
            if table.is_view:
                self._run(table, f"create or replace view {_at('workshop', table)} as {table.sql}")
            elif only is not None and table.relation not in only:
                self._show(table, f"select * from {_at('origin', table)}")
            else:
                self._recompute(table, (where or {}).get(table.relation))
                self._show(table, self._joined(table, first_day, last_day, keep))

    def keep_standing(self, table: Table, days: Collection[date]) -> None:
        """Show the rows of some days of a table rebuilt just now as they stand."""
        kept = f"day in {tuple(map(str, sorted(days)))}".replace(",)", ")")
        standing = f"select * from {_at('origin', table)} where {kept}"
        self._show(table, f"{standing} union all by name select * from {_rebuilt(table)} where not ({kept})")

    def columns(self, table: Table, catalog: str = "origin") -> dict[str, str]:
        """Column names and types of a table where it stands; empty where it does not."""
        rows = self.connection.execute(
            "select column_name, data_type from duckdb_columns() "
            "where database_name = ? and schema_name = ? and table_name = ? order by column_index",
            [catalog, table.schema, table.name],
        ).fetchall()
        return {str(name): str(data_type) for name, data_type in rows}

    def _recompute(self, table: Table, where: str | None) -> None:
        types = self.columns(table) or table.types
        columns = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in types.items())
        condition = f" where {where}" if where else ""
        self._run(
            table,
            f"create or replace table {_rebuilt(table)} as "
            f"select {columns or '*'} from ({table.sql}) as computed{condition}",
        )

    def _joined(self, table: Table, first_day: date | None, last_day: date | None, keep: Keep) -> str:
        computed = f"select * from {_rebuilt(table)}"
        if not table.is_by_day or keep == "nothing" or first_day is None or not self.columns(table):
            return computed
        kept = f"day < date '{first_day}'"
        if keep == "outside" and last_day is not None:
            kept += f" or day > date '{last_day + timedelta(days=table.reach_days)}'"
        return f"select * from {_at('origin', table)} where {kept} union all by name {computed}"

    def _make_views(self, statements: list[str]) -> None:
        """Make views that may read each other, in whatever order they are listed."""
        waiting = []
        for statement in statements:
            try:
                self.connection.execute(statement.replace("CREATE VIEW", "create or replace view", 1))
            except duckdb.CatalogException:
                waiting.append(statement)
                if len(waiting) == len(statements):
                    raise
        if waiting:
            self._make_views(waiting)

    def _show(self, table: Table, select: str) -> None:
        self._run(table, f"create or replace view {_at('workshop', table)} as {select}")

    def _run(self, table: Table, statement: str) -> None:
        try:
            self.connection.execute(statement)
        except duckdb.Error as error:
            raise TableNotRebuilt(table.relation, str(error)) from error

    def _names(self, query: str) -> list[str]:
        return [str(name) for (name,) in self.connection.execute(query).fetchall()]


def _at(catalog: str, table: Table) -> str:
    return f'{catalog}."{table.schema}"."{table.name}"'


def _rebuilt(table: Table) -> str:
    return f'workshop.rebuilt."{table.relation}"'

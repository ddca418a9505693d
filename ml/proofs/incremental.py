"""Whether tables built day by day are what a full rebuild from raw would make of them, to the bit.

Each partition is held against what it was made from, by the code that it was built with: a file that nothing
was computed from yet, and a partition known to be stale, are no difference. Building does not belong here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa

from ml.proofs.comparing import Cell, Comparison, digest_by_day, types_of
from ml.proofs.rebuild import Scratch, Snapshot, Table
from ml.proofs.standing import ALL_JUDGED, Files, Standing

_EXAMPLES = 5  # columns of which one cell is shown
_CATALOGS = ("origin", "workshop")
_COUNTED = "workshop.rebuilt.counted_files"


@dataclass(frozen=True)
class Difference:
    """One cell that a full rebuild gives otherwise; column None: only one side has the row."""

    table: str
    day: date | None
    key: Mapping[str, Any]
    column: str | None
    standing: Any
    rebuilt: Any

    def __str__(self) -> str:
        key = ", ".join(f"{name} {value}" for name, value in self.key.items())
        where = f"{self.table}, day {self.day}, {key}" if self.day else f"{self.table}, {key}"
        if self.column is None:
            side = "the table has the row, a full rebuild does not"
            return f"{where}: {side if self.standing else 'a full rebuild has the row, the table does not'}"
        return f"{where}: {self.column} is {self.standing!r}, a full rebuild gives {self.rebuilt!r}"


@dataclass(frozen=True)
class Drift:
    """A table that is not what a full rebuild gives: how many cells by column (None: rows), some of them.

    `days` are those that differ; none for a table without days.
    """

    table: str
    unique_id: str
    days: tuple[date, ...]
    n_cells: Mapping[str | None, int]
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        counted = (f'"{name}" in {n} rows' if name else f"{n} rows" for name, n in self.n_cells.items())
        told = "\n".join(f"  {difference}" for difference in self.differences)
        return f"{self.table} is not what a full rebuild gives: {', '.join(counted)}\n{told}"


@dataclass(frozen=True)
class Full:
    """All tables rebuilt from raw in `scratch`, beside those that stand in `origin`; what does not stand yet
    is no difference, nor is what `known` does not let judge."""

    scratch: Scratch
    tables: Sequence[Table]
    known: Standing = ALL_JUDGED

    def drifted(self) -> Iterator[Drift]:
        """The tables that stand otherwise in the workshop, upstream first."""
        for table in self.tables:
            if not table.is_view and self.scratch.columns(table):
                sides = (f"(from {_at(catalog, table)}{self._judged(table)})" for catalog in _CATALOGS)
                found = self._compared(table, table.relation, *sides)
                if found:
                    yield found

    def drifted_published(self, published: Mapping[str, pa.Table]) -> Iterator[Drift]:
        """The same of published rows by table name; days that are not published any more are left out."""
        for table in self.tables:
            rows = published.get(table.name)
            if rows is not None:
                self.scratch.connection.register("published_rows", rows)
                found = self._compared(table, f"published {table.name}", *self._sides(table))
                self.scratch.connection.unregister("published_rows")
                if found:
                    yield found

    def _sides(self, table: Table) -> tuple[str, str]:
        """Both with the table's own types, from the first published day on."""
        relation = _at("workshop", table)
        types = types_of(self.scratch.connection, relation)
        cells = ", ".join(f'cast("{name}" as {type_}) as "{name}"' for name, type_ in types.items())
        judged = self._judged(table)
        since = f"{judged or ' where true'} and day >= (select min(day) from published_rows)"
        return (
            f"(select {cells} from published_rows{judged})",
            f"(from {relation}{since if table.is_by_day else judged})",
        )

    def _judged(self, table: Table) -> str:
        """A condition on the rows that are judged, with its `where`; empty where all are."""
        left_out = self.known.unjudged(table.name)
        if None in left_out:
            return " where false"
        listed = ", ".join(f"'{day}'" for day in left_out)
        return f" where coalesce(day not in ({listed}), true)" if left_out else ""

    def _compared(self, table: Table, name: str, standing: str, rebuilt: str) -> Drift | None:
        comparison = Comparison(self.scratch.connection, standing, rebuilt, table.key)
        counts = comparison.counts()
        if not counts:
            return None
        cells = (comparison.cells(column, 1)[0] for column in islice(counts, _EXAMPLES))
        found = tuple(self._placed(name, table, cell, (standing, rebuilt)) for cell in cells)
        days = [digest_by_day(self.scratch.connection, side) for side in (standing, rebuilt)]
        differing = {day for day, _ in days[0].items() ^ days[1].items() if day}
        return Drift(name, table.unique_id, tuple(sorted(differing)), counts, found)

    def _placed(self, name: str, table: Table, cell: Cell, sides: tuple[str, str]) -> Difference:
        """A cell with its day, which need not be a part of the key."""
        day = cell.key.get("day")
        if day is None and table.is_by_day:
            same = " and ".join(f'"{column}" is not distinct from ?' for column in cell.key)
            values = list(cell.key.values())
            days = (
                self.scratch.connection.execute(f"select day from {side} where {same}", values).fetchone()
                for side in sides
            )
            day = next((row[0] for row in days if row), None)
        return Difference(name, day, cell.key, cell.column, cell.one, cell.other)


def rebuild_fully(scratch: Scratch, tables: Sequence[Table], known: Standing = ALL_JUDGED) -> Full:
    """Rebuild `tables` (upstream first, compiled for all days there are) from raw alone.

    Of raw the files count that `known` names. What it does not let judge is shown as it stands, so that what
    was made from that is judged.

    Raises:
        TableNotRebuilt: DuckDB refused a table's SQL.
    """
    scratch.raw(None if known.files is None else _as_computed(scratch.connection, known.files))
    _empty(scratch, tables)
    for table in tables:
        left_out = known.unjudged(table.name)
        if table.is_view or not left_out or not scratch.columns(table):
            scratch.rebuild((table,), keep="nothing")
        elif None in left_out:
            scratch.rebuild((table,), only=())
        else:
            scratch.rebuild((table,), keep="nothing")
            scratch.keep_standing(table, {day for day in left_out if day})
    return Full(scratch, tables, known)


def incremental_equals_full(
    snapshot: Snapshot, tables: Sequence[Table], known: Standing = ALL_JUDGED, memory: str | None = None
) -> tuple[Drift, ...]:
    """The tables of the workshop that are not what a full rebuild gives; empty when all are."""
    with snapshot.scratch(memory=memory) as scratch:
        return tuple(rebuild_fully(scratch, tables, known).drifted())


def _empty(scratch: Scratch, tables: Sequence[Table]) -> None:
    """A table that reads itself finds no rows at first, as when it is built for the first time."""
    for table in tables:
        if not table.is_view and scratch.columns(table):
            scratch.connection.execute(
                f'create schema if not exists workshop."{table.schema}"; '
                f"create view {_at('workshop', table)} as from {_at('origin', table)} limit 0"
            )


def _as_computed(con: duckdb.DuckDBPyConnection, computed: Files) -> dict[str, str]:
    """Raw as it was when the tables were made: of a day the file it was made from, and those before it."""
    rows = [(source, day, sha256) for (source, day), sha256 in computed.items()]
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    types = (pa.string(), pa.date32(), pa.string())
    listed = pa.table(
        [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)],
        names=["source", "day", "source_file_id"],
    )
    con.register("computed_files", listed)
    con.execute(
        f"create or replace table {_COUNTED} as select files.* from origin.raw.files "
        "join (select newest.* from origin.raw.files as newest semi join computed_files as computed "
        "on newest.source = computed.source and newest.day is not distinct from computed.day "
        "and newest.source_file_id = computed.source_file_id) as newest "
        "on files.source = newest.source and files.day is not distinct from newest.day "
        "and files.loaded_at <= newest.loaded_at"
    )
    con.unregister("computed_files")
    sources = con.execute("select distinct source from origin.raw.files").fetchall()
    return {"files": f"from {_COUNTED}"} | {source: _rows_of(source) for (source,) in sources}


def _rows_of(source: str) -> str:
    return (
        f'select rows_.* from origin.raw."{source}" as rows_ semi join {_COUNTED} as files '
        f"on files.source = '{source}' and files.day is not distinct from rows_.day "
        "and files.source_file_id = rows_.source_file_id"
    )


def _at(catalog: str, table: Table) -> str:
    return f'{catalog}."{table.schema}"."{table.name}"'

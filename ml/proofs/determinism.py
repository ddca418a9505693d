"""Whether each table's SQL gives the same rows, to the bit, with any number of threads.

It runs the SQL, which the linter does not: what the linter lets through by mistake shows here.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from ml.proofs.comparing import Cell, Comparison
from ml.proofs.rebuild import Scratch, Snapshot, Table, upstream

THREADS = (1, 2, 4)
_FIRST = "first"


@dataclass(frozen=True)
class Unrepeatable:
    """A table whose rows were others with `threads` threads than with `base`; counts under None are rows."""

    table: str
    unique_id: str
    base: int
    threads: int
    n_cells: dict[str | None, int]
    example: Cell

    def __str__(self) -> str:
        columns = ", ".join(
            f'column "{name}" in {n} rows' if name else f"{n} whole rows" for name, n in self.n_cells.items()
        )
        key = ", ".join(f"{name} {value}" for name, value in self.example.key.items())
        values = (
            f"{self.example.one!r} with {self.base} thread(s), {self.example.other!r} with {self.threads}"
        )
        return f"{self.table} differs in {columns}; at {key}: {values}"


def unrepeatable(
    snapshot: Snapshot,
    tables: Sequence[Table],
    threads: Sequence[int] = THREADS,
    *,
    only: Collection[str] | None = None,
    memory: str | None = None,
) -> Iterator[Unrepeatable]:
    """Build each of `tables` (upstream first) from the others as they stand, with each number of threads.

    All read the same rows, so each table answers for its own SQL; views are built like tables. `only` names
    those to build by their ids. DuckDB splits rows between threads from some 120,000 on; it is told to split
    fewer too.

    Raises:
        TableNotRebuilt: DuckDB refused a table's SQL.
    """
    base, *others = threads
    with snapshot.scratch(base, memory) as scratch:
        scratch.raw()
        scratch.connection.execute(f"create schema workshop.{_FIRST}")
        for table in (one for one in tables if only is None or one.unique_id in only):
            _build(scratch, tables, table, base)
            scratch.connection.execute(f"create table {_first(table)} as from {_now(table)}")
            for n in others:
                _build(scratch, tables, table, n)
                found = _compared(scratch, table, base, n)
                if found:
                    yield found
                    break
            scratch.connection.execute(f"drop table {_first(table)}")


def _build(scratch: Scratch, tables: Sequence[Table], table: Table, threads: int) -> None:
    """Compute the one table, those that it is made from being shown as they stand."""
    made_from = upstream(tables, [table.relation])
    shown = [replace(one, is_view=False) if one is table else one for one in made_from]
    scratch.connection.execute(f"set threads = {threads}; pragma verify_parallelism")
    scratch.rebuild(shown, keep="nothing", only={table.relation})
    scratch.connection.execute("pragma disable_verify_parallelism")


def _compared(scratch: Scratch, table: Table, base: int, threads: int) -> Unrepeatable | None:
    comparison = Comparison(scratch.connection, _first(table), _now(table), table.key)
    counts = comparison.counts()
    if not counts:
        return None
    example = comparison.cells(next(iter(counts)), 1)[0]
    return Unrepeatable(table.relation, table.unique_id, base, threads, counts, example)


def _first(table: Table) -> str:
    return f'workshop.{_FIRST}."{table.relation}"'


def _now(table: Table) -> str:
    return f'workshop."{table.schema}"."{table.name}"'

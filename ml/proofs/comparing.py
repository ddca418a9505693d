"""Whether two relations hold the same cells, to the bit, and where they do not.

Which relations to compare, and what a difference means, is the proof's that asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import duckdb

_NESTED = ("[", "STRUCT", "MAP", "UNION")


@dataclass(frozen=True)
class Cell:
    """One cell that differs, its row named by `key`; column None: only one side has the row."""

    key: Mapping[str, Any]
    column: str | None
    one: Any
    other: Any


@dataclass(frozen=True)
class Comparison:
    """Two relations side by side: `one` and `other` are names, or queries in brackets, with the same columns.

    `key` are the columns that name a row; without them whole rows are compared, doubled rows counted.
    """

    con: duckdb.DuckDBPyConnection
    one: str
    other: str
    key: tuple[str, ...] = ()

    @cached_property
    def types(self) -> dict[str, str]:
        """Column names and types."""
        return types_of(self.con, self.one)

    def is_equal(self) -> bool:
        """Whether both hold the same rows, in whatever order: a look at 64 bits a row and their sum."""
        one, other = (
            self.con.execute(f"select count(*), sum({row_hash(self.types)}::hugeint) from {side}").fetchone()
            for side in (self.one, self.other)
        )
        return bool(one == other)

    def counts(self) -> dict[str | None, int]:
        """How many cells differ by column, under None how many rows only one side has; empty when equal."""
        if self.is_equal():
            return {}
        columns = [name for name in self.types if name not in self._key]
        counted = [f"count(*) filter (where paired and {self._is_apart(name)})" for name in columns]
        query = f"select {', '.join(['count(*) filter (where not paired)', *counted])} from pairs"
        row = self.con.execute(self._with_pairs(query)).fetchone() or ()
        return {name: n for name, n in zip([None, *columns], row, strict=True) if n}

    def cells(self, column: str | None, limit: int = 10) -> list[Cell]:
        """The first cells by key in which `column` differs; for None the rows that only one side has."""
        names = ", ".join(f"coalesce(a.{_q(name)}, b.{_q(name)}) as {_q(name)}" for name in self._key)
        is_apart = "not paired" if column is None else f"paired and {self._is_apart(column)}"
        values = [
            f"if({side} is null, null, 'present')" if column is None else f"{side}.{_q(column)}"
            for side in "ab"
        ]
        order = ", ".join(str(place + 1) for place in range(len(self._key)))
        query = (
            f"select {names}, {', '.join(values)} from pairs where {is_apart} order by {order} limit {limit}"
        )
        rows = self.con.execute(self._with_pairs(query)).fetchall()
        return [Cell(dict(zip(self._key, row, strict=False)), column, row[-2], row[-1]) for row in rows]

    @property
    def _key(self) -> tuple[str, ...]:
        return self.key or tuple(self.types)

    def _is_apart(self, column: str) -> str:
        one, other = (to_the_bit(f"{side}.{_q(column)}", self.types[column]) for side in "ab")
        return f"{one} is distinct from {other}"

    def _with_pairs(self, query: str) -> str:
        """`query` over relation `pairs`: rows `a` of one and `b` of other that differ, joined by the key."""
        listed = ", ".join(_q(name) for name in self.types)
        same = " and ".join(f"a.{_q(name)} is not distinct from b.{_q(name)}" for name in self.key) or "false"
        hashed = (
            "select *, row_number() over (partition by hash_) as nth_ "
            f"from (select {listed}, {row_hash(self.types)} as hash_ from {{}})"
        )
        return f"""
            with one_ as materialized ({hashed.format(self.one)}),
            other_ as materialized ({hashed.format(self.other)}),
            only_one as (select {listed} from one_ anti join other_ using (hash_, nth_)),
            only_other as (select {listed} from other_ anti join one_ using (hash_, nth_)),
            pairs as (
                select a, b, a is not null and b is not null as paired
                from (select only_one as a from only_one) full join (select only_other as b from only_other)
                    on {same}
            )
            {query}
        """


def digest_by_day(con: duckdb.DuckDBPyConnection, relation: str, day: str = "day") -> dict[date | None, str]:
    """For each day of a relation, its number of rows and the sum of their hashes: equal for equal rows in any
    order, doubled rows counted. A relation without that column has one digest, under None."""
    types = types_of(con, relation)
    by = _q(day) if day in types else "null"
    rows = con.execute(
        f"select {by}, count(*), sum({row_hash(types)}::hugeint) from {relation} group by 1 order by 1"
    ).fetchall()
    return {found: f"{n}:{total % 2**64:016x}" for found, n, total in rows}


def row_hash(types: Mapping[str, str]) -> str:
    """SQL for 64 bits of a row's cells; DuckDB promises the same ones within one version only."""
    return f"hash({', '.join(to_the_bit(_q(name), kind) for name, kind in types.items())})"


def to_the_bit(column: str, data_type: str) -> str:
    """SQL that is equal for equal bits only: NaN is NaN, and -0.0 is not 0.0."""
    if data_type.upper() in {"DOUBLE", "FLOAT"}:
        return f"cast({column} as bit)"
    if any(mark in data_type.upper() for mark in _NESTED):
        return f"cast({column} as varchar)"
    return column


def types_of(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Column names and types of a relation (a name, or a query in brackets)."""
    described = con.execute(f"describe select * from {relation}").fetchall()
    return {str(name): str(data_type) for name, data_type, *_ in described}


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

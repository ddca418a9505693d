"""The features of requests: computed row by row from a bundle's SQL, or by DuckDB where that can't be.

Definitions whose SQL does not compile are refused when they load; bundles made before that still serve.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from ml.bundle import Bundle
from ml.contract import Contract
from ml.errors import FeatureSqlUnfit
from ml.online import OnlineStore
from ml.online_plan.bound import BoundPlan, bind
from ml.online_plan.coverage import covered_from
from ml.online_plan.kinds import Kind, of_arrow, values
from ml.online_plan.plan import Plan, compile_plan
from services.columns import STORED

Row = Sequence[Any]


class Features(Protocol):
    """Rows of features from rows of requests, in the order of the contract's request columns.

    Times are whole microseconds since 1970, dates whole days. `names` are of the values of a row, `types` how
    Arrow stores them. `not_compiled` says why rows are asked of DuckDB.
    """

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def types(self) -> dict[str, pa.DataType]: ...
    @property
    def not_compiled(self) -> str | None: ...
    @property
    def first(self) -> datetime | None:
        """From when on the tables hold all that is looked back to; None where that is not known."""
        ...

    def of(self, requests: Sequence[Row]) -> list[Row]:
        """Raises FeatureNotComputed, or FeatureRowsMismatch."""
        ...

    def over(self, store: OnlineStore) -> "Features":
        """The same over other online tables."""
        ...


def features_of(bundle: Bundle, store: OnlineStore) -> Features:
    """Compile a bundle's SQL and bind it to the tables; raises what DuckDB raises for SQL it can't run."""
    contract = bundle.contract
    request: dict[str, Kind] = {column.name: column.kind for column in contract.request}
    tables = {
        name: {field.name: of_arrow(field.type) for field in rows.schema} for name, rows in store.rows.items()
    }
    try:
        plan = compile_plan(bundle.model, bundle.feature_sql, request | {"request_row": "integer"}, tables)
    except FeatureSqlUnfit as refusal:
        return Asked.prepared(contract, bundle.feature_sql, store, str(refusal))
    return Compiled.bound(contract, plan, store)


@dataclass(frozen=True)
class Compiled:
    """Computed in this process, microseconds a row."""

    plan: BoundPlan
    places: tuple[int | None, ...]
    names: tuple[str, ...]
    types: dict[str, pa.DataType]
    first: datetime | None
    not_compiled: None = None

    @classmethod
    def bound(cls, contract: Contract, plan: Plan, store: OnlineStore) -> "Compiled":
        """`places` are those of the values that the plan asks for; None for the row's own number."""
        columns = [column.name for column in contract.request]
        places = tuple(None if name == "request_row" else columns.index(name) for name in plan.given)
        found = bind(plan, store.rows)
        return cls(found, places, found.names, found.types, _first(plan, store))

    def of(self, requests: Sequence[Row]) -> list[Row]:
        of = self.plan.of
        return [
            of([n if place is None else request[place] for place in self.places], n)
            for n, request in enumerate(requests)
        ]

    def over(self, store: OnlineStore) -> "Compiled":
        plan = self.plan.plan
        return Compiled(bind(plan, store.rows), self.places, self.names, self.types, _first(plan, store))


@dataclass(frozen=True)
class Asked:
    """Asked of DuckDB, milliseconds a row."""

    contract: Contract
    sql: str
    store: OnlineStore
    types: dict[str, pa.DataType]
    not_compiled: str
    first: None = None

    @classmethod
    def prepared(cls, contract: Contract, sql: str, store: OnlineStore, why: str) -> "Asked":
        """Types are those of an answer to no rows."""
        schema = store.features(_relation(contract, []), sql).schema
        return cls(contract, sql, store, {field.name: field.type for field in schema}, why)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.types)

    def of(self, requests: Sequence[Row]) -> list[Row]:
        table = self.store.features(_relation(self.contract, requests), self.sql)
        return list(zip(*(values(column) for column in table.columns), strict=True))

    def over(self, store: OnlineStore) -> "Asked":
        return Asked(self.contract, self.sql, store, self.types, self.not_compiled)


def _first(plan: Plan, store: OnlineStore) -> datetime | None:
    return covered_from(plan, {table.name: table.oldest for table in store.tables})


def _relation(contract: Contract, requests: Sequence[Row]) -> pa.Table:
    """Relation `request`."""
    columns = {"request_row": pa.array(range(len(requests)), pa.int32())}
    for place, column in enumerate(contract.request):
        stored, given = STORED[column.kind], [request[place] for request in requests]
        if column.kind in ("timestamp", "date"):
            whole = pa.int64() if column.kind == "timestamp" else pa.int32()
            columns[column.name] = pa.array(given, whole).cast(stored)
        else:
            columns[column.name] = pa.array(given, stored)
    return pa.table(columns)

"""A compiled plan over the rows of online tables: features of one row in microseconds.

The tables are read once, when bound; nothing changes after.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import DecimalException
from itertools import repeat
from typing import Any

import pyarrow as pa

from ml.errors import FeatureNotComputed
from ml.online_plan.kinds import Kind, given, held, values
from ml.online_plan.lookups import Lookup
from ml.online_plan.plan import Plan, function_of

Row = Sequence[Any]
_REFUSED = (ArithmeticError, ValueError, KeyError, TypeError, DecimalException)
ARROW: Mapping[str, pa.DataType] = {
    "integer": pa.int64(),
    "real": pa.float64(),
    "single": pa.float64(),
    "decimal": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
    "null": pa.null(),
}


@dataclass(frozen=True)
class BoundPlan:
    """Safe to use from any number of threads."""

    plan: Plan
    _features: Callable[..., list[Any]]
    _indices: tuple[Callable[[Any], Any], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the values that a row of features has, in order."""
        return tuple(self.plan.outputs)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Their kinds: times are whole microseconds since 1970, dates whole days."""
        return tuple(self.plan.outputs.values())

    def row(self, request: Mapping[str, Any], place: int = 0) -> list[Any]:
        """The features of one row, in the order of `names`; raises FeatureNotComputed naming `place`.

        Times of the request may be aware, or naive UTC; a column that it lacks is null.
        """
        asked = [place if name == "request_row" else held(request.get(name)) for name in self.plan.given]
        return self.of(asked, place)

    def of(self, asked: Sequence[Any], place: int = 0) -> list[Any]:
        """The same of the values that `plan.given` names, as compiled SQL holds them."""
        try:
            return self._features(asked, *self._indices)
        except _REFUSED as refusal:
            raise FeatureNotComputed(place, f"{type(refusal).__name__}: {refusal}") from refusal

    def rows(self, requests: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
        """The features of each row, in order."""
        return [self.row(request, place) for place, request in enumerate(requests)]

    @property
    def types(self) -> dict[str, pa.DataType]:
        """How Arrow stores the values, by name."""
        return {name: ARROW[kind] for name, kind in self.plan.outputs.items()}

    def table(self, rows: Sequence[Row], types: Mapping[str, pa.DataType] | None = None) -> pa.Table:
        """Rows of features as Arrow."""
        columns = zip(*rows, strict=True) if rows else repeat((), len(self.names))
        return pa.table(
            {
                name: pa.array(
                    [given(value, kind) for value in column], (types or ARROW).get(name, ARROW[kind])
                )
                for (name, kind), column in zip(self.plan.outputs.items(), columns, strict=False)
            }
        )


def bind(plan: Plan, tables: Mapping[str, pa.Table]) -> BoundPlan:
    """Index the tables' rows by what the plan asks of them."""
    made: dict[Any, Any] = {}
    indices = []
    for lookup in plan.lookups:
        shape = (lookup.table, tuple(name for _, name in lookup.keys), lookup.order, lookup.read)
        if shape not in made:
            made[shape] = _index(lookup, tables[lookup.table]).get
        indices.append(made[shape])
    return BoundPlan(plan, function_of(plan), tuple(indices))


def _index(lookup: Lookup, table: pa.Table) -> dict[Any, tuple[list[int], list[Row]]]:
    """By the keys' values: the instants of the rows in order, and the rows.

    Of rows that tie the first in the table comes last, which is where a search begins. Rows without a
    key or an instant are never found, and a key without rows is not there.
    """
    columns = {name: values(table[name]) for name in lookup.read}
    rows = list(zip(*columns.values(), strict=True))
    instants = columns[lookup.order]
    names = [name for _, name in lookup.keys]
    keys: Any = (
        (columns[names[0]] if len(names) == 1 else zip(*(columns[name] for name in names), strict=True))
        if names
        else repeat((), len(rows))
    )
    groups: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    found: dict[Any, tuple[list[int], list[Row]]] = {}
    for key, places in groups.items():
        if key is None or (isinstance(key, tuple) and None in key):
            continue
        order = sorted(
            (one for one in reversed(places) if instants[one] is not None), key=instants.__getitem__
        )
        if order:
            found[key] = ([instants[one] for one in order], [rows[one] for one in order])
    return found

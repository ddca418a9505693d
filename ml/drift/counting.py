"""The query that counts the values of columns into bins, by partition: on DuckDB, or on any engine.

What is made of the counts does not belong here.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ml.drift.bins import Bins
from ml.drift.fingerprint import Counted

Row = Sequence[Any]
_GREATEST = sys.float_info.max


class Duckdb:
    """One histogram a column: it looks for a number's bin by bisection, for a category's by its hash."""

    quote = '"'

    def select(self, bins: Bins, value: str) -> Iterator[str]:
        if bins.is_number:
            yield f"histogram({value}, {_list(map(_number, bins.edges))})"
            yield f"min({value})"
            yield f"max({value})"
        elif bins.categories:
            known = ", ".join(map(_text, bins.categories))
            # What is not listed, histogram_exact counts under the empty text: it must not be listed itself.
            if "" in bins.categories:
                yield f"histogram(case when {value} in ({known}) then {value} end)"
            else:
                yield f"histogram_exact({value}, [{known}])"
        yield f"count({value})"

    def counts(self, bins: Bins, row: Iterator[Any]) -> tuple[int, list[int], Any, Any]:
        low = high = None
        found: Mapping[Any, int] = (next(row) if bins.is_number or bins.categories else None) or {}
        if bins.is_number:
            low, high = next(row), next(row)
        known = next(row)
        counts = [found.get(one, 0) for one in bins.edges or bins.categories]
        return known, [*counts, known - sum(counts)], low, high


class Portable:
    """Sums over cases, which every engine has; several times as slow."""

    def __init__(self, quote: str = '"') -> None:
        self.quote = quote

    def select(self, bins: Bins, value: str) -> Iterator[str]:
        for edge in bins.edges:
            yield f"sum(case when {value} <= {_number(edge)} then 1 else 0 end)"
        for category in bins.categories:
            yield f"sum(case when {value} = {_text(category)} then 1 else 0 end)"
        if bins.is_number:
            yield f"min({value})"
            yield f"max({value})"
        yield f"count({value})"

    def counts(self, bins: Bins, row: Iterator[Any]) -> tuple[int, list[int], Any, Any]:
        counts = [int(next(row) or 0) for _ in bins.edges or bins.categories]
        if bins.is_number:
            counts = [after - before for before, after in zip([0, *counts[:-1]], counts, strict=True)]
        low, high = (next(row), next(row)) if bins.is_number else (None, None)
        known = next(row)
        return known, [*counts, known - sum(counts)], low, high


Engine = Duckdb | Portable
ENGINES: Mapping[str, Callable[[], Engine]] = {"duckdb": Duckdb, "spark": lambda: Portable("`")}


def query(relation: str, bins: Sequence[Bins], by: str | None, engine: Engine) -> str:
    """One row a partition: its value of `by` (null where none is named), its rows, and each column's counts.

    `relation` is what stands after `from`. NaN counts as missing.
    """
    columns = [what for n, one in enumerate(bins) for what in engine.select(one, f"v{n}")]
    values = [f"{_value(one, engine)} as v{n}" for n, one in enumerate(bins)]
    named = f"{_quoted(by, engine)} as part" if by else "null as part"
    inner = f"select {', '.join([named, *values])} from {relation}"
    return (
        f"select part, count(*), {', '.join(columns)} from ({inner}) as counted group by part order by part"
    )


def read(rows: Sequence[Row], bins: Sequence[Bins], engine: Engine) -> Iterator[tuple[Any, list[Counted]]]:
    """Of what the query gave: each partition with the counts of its columns, in the order of the bins."""
    for row in rows:
        given = iter(row)
        part, n_rows = next(given), next(given)
        found = []
        for one in bins:
            known, counts, low, high = engine.counts(one, given)
            found.append(Counted(n_rows, n_rows - known, tuple(counts), _float(low), _float(high)))
        yield part, found


def _value(bins: Bins, engine: Engine) -> str:
    column = _quoted(bins.name, engine)
    if not bins.is_number:
        return f"cast({column} as string)"
    number = f"cast({column} as double)"
    return f"case when isnan({number}) then null else {number} end"


def _quoted(name: str, engine: Engine) -> str:
    return engine.quote + name.replace(engine.quote, 2 * engine.quote) + engine.quote


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _number(value: float) -> str:
    # With an exponent it is a double, read to the bit; without, a decimal.
    return repr(value) if "e" in repr(value) else f"{value!r}e0"


def _list(items: Iterator[str]) -> str:
    return f"[{', '.join(items)}]"


def _float(value: Any) -> float | None:
    # Canonical JSON has no infinity; the greatest float stands for it.
    return None if value is None else max(-_GREATEST, min(float(value), _GREATEST))

"""The kinds of values that compiled feature SQL works with, and how Python holds each.

Timestamps are whole microseconds since 1970 (UTC where they are instants), dates whole days, intervals whole
microseconds: arithmetic on plain numbers. What is done with them is the expressions' matter.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal

import pyarrow as pa
from sqlglot import exp

Kind = Literal[
    "integer",
    "real",
    "single",
    "decimal",
    "boolean",
    "text",
    "timestamp",
    "instant",
    "date",
    "interval",
    "null",
    "other",
]
MICROSECONDS: Mapping[str, int] = {
    "microsecond": 1,
    "millisecond": 1000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 7 * 86_400_000_000,
}
DAY = MICROSECONDS["day"]
# What DuckDB counts together in the wider of two kinds.
_WIDER: tuple[Kind, ...] = ("boolean", "integer", "decimal", "real")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_OF_SQL: Mapping[str, Kind] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INT", "BIGINT", "INT128"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINT", "UBIGINT"), "integer"),
    "DOUBLE": "real",
    "FLOAT": "single",
    "BOOLEAN": "boolean",
    "VARCHAR": "text",
    "TEXT": "text",
    "TIMESTAMP": "timestamp",
    "TIMESTAMPNTZ": "timestamp",
    "TIMESTAMPTZ": "instant",
    "DATE": "date",
}


def of_sql(data_type: exp.DataType) -> Kind:
    """Of a type as SQL names it; `other` where compiled SQL has no such values."""
    return _OF_SQL.get(str(data_type.this.value), "other")


def of_declared(data_type: str) -> Kind:
    """Of a column's type as a dbt project declares it; a DECIMAL without a scale is an integer."""
    parsed = exp.DataType.build(data_type, dialect="duckdb")
    if parsed.this == exp.DType.DECIMAL:
        scale = parsed.expressions[1].name if len(parsed.expressions) > 1 else "3"
        return "integer" if scale == "0" else "decimal"
    return of_sql(parsed)


def of_arrow(stored: pa.DataType) -> Kind:
    """Of an Arrow type, as DuckDB takes it in; float32 (`single`) counts in other steps than float64."""
    if pa.types.is_decimal(stored):
        return "integer" if stored.scale == 0 else "decimal"
    if pa.types.is_timestamp(stored):
        return "instant" if stored.tz else "timestamp"
    if pa.types.is_dictionary(stored):
        return of_arrow(stored.value_type)
    told: tuple[tuple[Any, Kind], ...] = (
        (pa.types.is_integer, "integer"),
        (pa.types.is_float64, "real"),
        (pa.types.is_float32, "single"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_string, "text"),
        (pa.types.is_large_string, "text"),
        (pa.types.is_date32, "date"),
    )
    return next((kind for is_it, kind in told if is_it(stored)), "other")


def wider(one: Kind, other: Kind) -> Kind | None:
    """The kind in which DuckDB takes both, None where it would convert what is better said in the SQL."""
    if other in (one, "null"):
        return one
    if one == "null":
        return other
    if one in _WIDER and other in _WIDER:
        return max(one, other, key=_WIDER.index) if "boolean" not in (one, other) else None
    if {one, other} == {"timestamp", "date"}:
        return "timestamp"
    return None


def held(value: Any) -> Any:
    """A value from a request as compiled SQL holds it: times may be aware, or naive UTC."""
    if isinstance(value, datetime):
        return microseconds(value)
    if isinstance(value, date):
        return value.toordinal() - _EPOCH_DAY
    return value


def microseconds(at: datetime) -> int:
    """Since 1970, exactly; naive times are UTC."""
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def days(day: date) -> int:
    """Since 1970."""
    return day.toordinal() - _EPOCH_DAY


def values(column: pa.ChunkedArray) -> list[Any]:
    """A column's values as compiled SQL holds them; quick where most rows have one."""
    stored = column.type
    if pa.types.is_dictionary(stored):
        return values(column.cast(stored.value_type))
    if pa.types.is_decimal(stored) and stored.scale == 0:
        return [None if value is None else int(value) for value in column.to_pylist()]
    if pa.types.is_timestamp(stored):
        column = column.cast(pa.timestamp("us", stored.tz)).cast(pa.int64())
    elif pa.types.is_date32(stored):
        column = column.cast(pa.int32())
    elif not (pa.types.is_integer(stored) or pa.types.is_float64(stored)):
        return list(column.to_pylist())
    if not column.null_count:
        return list(column.to_numpy().tolist())
    found = column.fill_null(0).to_numpy().tolist()
    for place in column.is_null().to_numpy().nonzero()[0].tolist():
        found[place] = None
    return list(found)


def given(value: Any, kind: Kind) -> Any:
    """A value as Python gives it to others: times as naive datetimes, dates as dates, decimals as numbers."""
    if value is None:
        return None
    if kind == "timestamp":
        return datetime.fromtimestamp(value // 1_000_000, UTC).replace(
            microsecond=value % 1_000_000, tzinfo=None
        )
    if kind == "date":
        return date.fromordinal(value + _EPOCH_DAY)
    return float(value) if kind == "decimal" else value

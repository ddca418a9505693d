"""One request column told in four ways: as a type to decode, in words, for a program, as JSON schema.

Whether a request fits is decided elsewhere, from the type alone.
"""

import json
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from ml.feature_definition import Column

MAX_TEXT_CHARACTERS = 200
YEARS = (1900, 2199)
_YEARS_PATTERN = "^(19|20|21)[0-9][0-9]-"
_INTEGERS = (-(2**31), 2**31 - 1)

STORED = {
    "integer": pa.int64(),
    "real": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
_WORDS = {
    "integer": "a whole number",
    "real": "a number",
    "boolean": "true or false",
    "text": f"text of 1 to {MAX_TEXT_CHARACTERS} characters",
    "date": "a date as YYYY-MM-DD",
    "timestamp": "an ISO 8601 time with its zone (Z or an offset)",
}
_NUMBERS: dict[str, Any] = {"integer": int, "real": float}
_TYPES: dict[str, Any] = {
    "boolean": bool,
    "text": Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS)],
    "date": date,
    "timestamp": Annotated[datetime, msgspec.Meta(tz=True)],
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer"},
    "real": {"type": "number"},
    "boolean": {"type": "boolean"},
    "text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARACTERS},
    "date": {"type": "string", "format": "date", "pattern": _YEARS_PATTERN},
    "timestamp": {"type": "string", "format": "date-time", "pattern": _YEARS_PATTERN},
}


def decoded_type(column: Column) -> Any:
    """The type msgspec decodes and checks; a column that isn't required takes null."""
    if column.kind in _NUMBERS:
        low, high = bounds(column)
        plain: Any = Annotated[_NUMBERS[column.kind], msgspec.Meta(ge=low, le=high)]
    else:
        plain = _TYPES[column.kind]
    return plain if column.is_required else plain | None


def bounds(column: Column) -> tuple[Any, Any]:
    """The smallest and largest value taken, inclusive; None where there is no bound."""
    if column.kind == "integer":
        low, high = _INTEGERS
        return (low if column.minimum is None else column.minimum), (
            high if column.maximum is None else column.maximum
        )
    if column.kind in ("date", "timestamp"):
        return f"{YEARS[0]}-01-01", f"{YEARS[1]}-12-31"
    return column.minimum, column.maximum


def in_words(column: Column) -> str:
    """What the value must be, for a person."""
    low = "" if column.minimum is None else f" from {column.minimum}"
    high = "" if column.maximum is None else f" up to {column.maximum}"
    unit = f" {column.unit}" if column.unit else ""
    example = "" if column.example is None else f", like {json.dumps(_example(column), ensure_ascii=False)}"
    return f"{_WORDS[column.kind]}{low}{high}{unit}{example}{'' if column.is_required else ', or null'}"


def for_program(column: Column) -> dict[str, Any]:
    """The same for a program: type, bounds, unit, example and whether null is taken."""
    low, high = bounds(column)
    told = {
        "type": column.kind,
        "minimum": low,
        "maximum": high,
        "unit": column.unit,
        "example": _example(column),
    }
    return {name: value for name, value in told.items() if value is not None} | {
        "nullable": not column.is_required
    }


def as_schema(column: Column) -> dict[str, Any]:
    """The same as a schema object of OpenAPI 3.0."""
    unit = f" Unit: {column.unit}." if column.unit else ""
    schema: dict[str, Any] = {**_SCHEMAS[column.kind], "description": f"{column.description}{unit}"}
    if column.kind in _NUMBERS:
        low, high = bounds(column)
        schema |= {name: value for name, value in (("minimum", low), ("maximum", high)) if value is not None}
    if column.example is not None:
        schema["example"] = _example(column)
    return schema if column.is_required else {**schema, "nullable": True}


def _example(column: Column) -> Any:
    """The declared example as a request gives it: a time with its zone."""
    is_bare = column.kind == "timestamp" and not str(column.example).endswith("Z")
    return f"{column.example}Z" if is_bare and column.example is not None else column.example

"""Many rows of feature values as an Arrow stream: checked and cast, without a Python object a value.

What JSON bodies are, is `request_schema`'s.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import nearest
from ml.feature_definition import Column
from services.columns import STORED, bounds, for_program, in_words
from services.problems import FieldError, Kind, RequestRefused

_NARROW_BITS = 32
MEDIA_TYPE = "application/vnd.apache.arrow.stream"


def decode(body: bytes, columns: Sequence[Column], max_rows: int) -> pa.Table:
    """The rows, with all the columns as the contract stores them; one that is not sent has no values.

    Raises RequestRefused naming each column that is unknown or of another type.
    """
    try:
        with pa.ipc.open_stream(body) as stream:
            table = stream.read_all()
            table.validate(full=True)
    except (pa.ArrowException, OSError) as broken:
        raise RequestRefused(Kind.NOT_ARROW, f"The body could not be read: {broken}") from None
    if not 1 <= table.num_rows <= max_rows:
        error = FieldError(
            "instances", f"must be 1 to {max_rows} rows", table.num_rows, {"maximum": max_rows}
        )
        raise RequestRefused.for_fields(Kind.INVALID, (error,))
    names = [column.name for column in columns]
    places = {name: place for place, name in enumerate(table.column_names)}
    errors = _unknown(table.column_names, names)
    held = {}
    for column in columns if not errors else ():
        place = places.get(column.name)
        if place is None:
            held[column.name] = pa.nulls(table.num_rows, STORED[column.kind])
            continue
        values = table.column(place)
        try:
            held[column.name] = _cast(values, column)
        except (pa.ArrowException, TypeError):
            errors.append(FieldError(column.name, f"must be {in_words(column)}", str(values.type)))
            continue
        beyond = _beyond(held[column.name], column)
        if beyond is not None:
            errors.append(FieldError(column.name, f"must be {in_words(column)}", beyond, for_program(column)))
    if errors:
        raise RequestRefused.for_fields(Kind.INVALID, tuple(errors))
    return pa.table(held)


def _unknown(sent: Sequence[str], names: Sequence[str]) -> list[FieldError]:
    """A name that is none of the columns', or there twice."""
    if len(set(sent)) == len(sent) and set(sent) <= set(names):
        return []
    return [
        FieldError(name[:100], f"is no field, or there twice. {nearest(name, names)}")
        for name, n in Counter(sent).items()
        if n > 1 or name not in names
    ]


def _cast(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Integers may be sent as whole floats, text as a dictionary; nothing else changes its kind.

    Integers stay as wide as they are.
    """
    stored = STORED[column.kind]
    if values.type == stored or (column.kind == "integer" and pa.types.is_integer(values.type)):
        return values
    given = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    is_text = pa.types.is_string(given) or pa.types.is_large_string(given)
    is_number = pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given)
    fits = {"text": is_text, "boolean": pa.types.is_boolean(given)}.get(column.kind, is_number)
    if not (fits or pa.types.is_null(given)):
        raise TypeError
    if pa.types.is_floating(given) and column.kind == "integer":
        values = pc.if_else(pc.is_nan(values), None, values)
    return values.cast(stored)


def _beyond(values: pa.ChunkedArray, column: Column) -> Any:
    """A value outside the column's bounds; None where there is none."""
    low, high = bounds(column) if column.kind in ("integer", "real") else (None, None)
    if low is None and high is None:
        return None
    if pa.types.is_integer(values.type) and values.type.bit_width <= _NARROW_BITS and _is_wide(low, high):
        return None
    least, most = (one.as_py() for one in pc.min_max(values).values())
    if least is not None and low is not None and least < low:
        return least
    return most if most is not None and high is not None and most > high else None


def _is_wide(low: Any, high: Any) -> bool:
    """Whether any integer of so few bits is within."""
    return (low is None or low <= -(2**_NARROW_BITS)) and (high is None or high >= 2**_NARROW_BITS)

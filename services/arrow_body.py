"""Many rows of feature values as an Arrow stream: checked and cast, without a Python object a value.

What JSON bodies are, is `request_schema`'s.
"""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import nearest
from ml.feature_definition import Column
from services.columns import STORED, in_words
from services.problems import FieldError, Kind, RequestRefused

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
    held, names = {}, [column.name for column in columns]
    sent = Counter(table.column_names)
    errors = [
        FieldError(name[:100], f"is no field, or there twice. {nearest(name, names)}")
        for name, n in sent.items()
        if n > 1 or name not in names
    ]
    for column in columns if not errors else ():
        if column.name not in sent:
            held[column.name] = pa.nulls(table.num_rows, STORED[column.kind])
            continue
        try:
            held[column.name] = _cast(table[column.name], column)
        except (pa.ArrowException, TypeError):
            told = str(table[column.name].type)
            errors.append(FieldError(column.name, f"must be {in_words(column)}, or null", told))
    if errors:
        raise RequestRefused.for_fields(Kind.INVALID, tuple(errors))
    return pa.table(held)


def _cast(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Integers may be sent as whole floats, text as a dictionary; nothing else changes its kind."""
    given = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    is_text = pa.types.is_string(given) or pa.types.is_large_string(given)
    is_number = pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given)
    fits = {"text": is_text, "boolean": pa.types.is_boolean(given)}.get(column.kind, is_number)
    if not (fits or pa.types.is_null(given)):
        raise TypeError
    if pa.types.is_floating(given) and column.kind == "integer":
        values = pc.if_else(pc.is_nan(values), None, values)
    stored = STORED[column.kind]
    return values if values.type == stored else values.cast(stored)

"""Naming rows by their values, whatever way they are stored.

Which rows matter is decided elsewhere.
"""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def rows_sha256(table: pa.Table) -> str:
    """A hash of names, kinds and values in row order; NaN counts as null, as both mean missing.

    Storage width, chunks and the bytes under nulls don't count.
    """
    total = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        kind, buffers = _hashable(values)
        total.update(f"{name}:{kind}:{len(values)};".encode())
        for buffer in buffers:
            total.update(buffer)
    return total.hexdigest()


def _hashable(values: Any) -> tuple[str, list[Any]]:
    stored = values.type
    if pa.types.is_boolean(stored):
        return "boolean", _fixed(values.cast(pa.int8()), 0)
    if pa.types.is_integer(stored):
        return "integer", _fixed(values.cast(pa.int64()), 0)
    if pa.types.is_floating(stored):
        return "real", _fixed(pc.if_else(pc.is_nan(values), None, values).cast(pa.float64()), 0.0)
    if pa.types.is_timestamp(stored):
        return "timestamp", _fixed(values.cast(pa.timestamp("us")).cast(pa.int64()), 0)
    if pa.types.is_date(stored):
        return "date", _fixed(values.cast(pa.date32()).cast(pa.int32()), 0)
    text = values.cast(pa.large_string())
    lengths = pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    _, offsets, characters = pc.fill_null(text, "").buffers()
    first, last = np.frombuffer(offsets, np.int64)[[0, len(text)]] if offsets else (0, 0)
    return "text", [_validity(text), lengths, memoryview(characters or b"")[first:last]]


def _fixed(values: Any, under_null: float) -> list[Any]:
    return [_validity(values), pc.fill_null(values, under_null).to_numpy(zero_copy_only=False)]


def _validity(values: Any) -> Any:
    return np.packbits(values.is_valid().to_numpy(zero_copy_only=False)) if values.null_count else b""

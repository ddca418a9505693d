"""Naming rows by their values, whatever way they are stored.

Which rows matter is decided elsewhere.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def rows_sha256(table: pa.Table) -> str:
    """A hash of names, kinds and values in row order; NaN counts as null, as both mean missing.

    Storage width, chunks and the bytes under nulls don't count.
    """
    total = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind, values, filled = _hashable(_whole(column))
        total.update(f"{name}:{kind}:{len(values)};".encode())
        for buffer in (_validity(values), *_Sliceable.of(filled).between(0, len(values))):
            total.update(buffer)
    return total.hexdigest()


def slices_sha256(table: pa.Table, order: NDArray[np.int64], ends: Sequence[int]) -> list[str]:
    """Hashes of consecutive slices of the rows in an order; `ends` are where they end in it.

    Of the same things as `rows_sha256`, but another hash. Columns are put in order one at a time.
    """
    totals = [hashlib.sha256() for _ in ends]
    bounds = list(zip([0, *ends], ends, strict=False))
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind, values, filled = _hashable(_whole(column).take(order))
        is_valid, sliceable = values.is_valid().to_numpy(zero_copy_only=False), _Sliceable.of(filled)
        for total, (start, end) in zip(totals, bounds, strict=True):
            total.update(f"{name}:{kind}:{end - start};".encode())
            for buffer in (is_valid[start:end], *sliceable.between(start, end)):
                total.update(buffer)
    return [total.hexdigest() for total in totals]


@dataclass(frozen=True)
class _Sliceable:
    """Values without nulls: fixed ones, or texts by their offsets and characters."""

    fixed: Any
    characters: Any = None

    @classmethod
    def of(cls, values: pa.Array) -> "_Sliceable":
        if not pa.types.is_large_string(values.type):
            return cls(values.to_numpy(zero_copy_only=False))
        _, offsets, characters = values.buffers()
        found = np.frombuffer(offsets or b"\0" * 8, np.int64)[values.offset : values.offset + len(values) + 1]
        return cls(found, memoryview(characters or b""))

    def between(self, start: int, end: int) -> tuple[Any, ...]:
        if self.characters is None:
            return (self.fixed[start:end],)
        offsets = self.fixed[start : end + 1]
        return np.diff(offsets), self.characters[offsets[0] : offsets[-1]]


def _hashable(values: pa.Array) -> tuple[str, pa.Array, pa.Array]:
    """The kind, the values as what they mean, and the same with something in place of nulls."""
    stored = values.type
    if pa.types.is_boolean(stored):
        return _filled("boolean", values.cast(pa.int8()), 0)
    if pa.types.is_integer(stored):
        return _filled("integer", values.cast(pa.int64()), 0)
    if pa.types.is_floating(stored):
        missing = pc.if_else(pc.is_nan(values), None, values)
        return _filled("real", missing.cast(pa.float64()), 0.0)
    if pa.types.is_timestamp(stored):
        return _filled("timestamp", values.cast(pa.timestamp("us")).cast(pa.int64()), 0)
    if pa.types.is_date(stored):
        return _filled("date", values.cast(pa.date32()).cast(pa.int32()), 0)
    return _filled("text", values.cast(pa.large_string()), "")


def _filled(kind: str, values: pa.Array, under_null: object) -> tuple[str, pa.Array, pa.Array]:
    return kind, values, pc.fill_null(values, under_null)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _validity(values: pa.Array) -> Any:
    return np.packbits(values.is_valid().to_numpy(zero_copy_only=False)) if values.null_count else b""

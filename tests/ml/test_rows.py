"""The hash of rows: the same for the same values however they are stored, another for any other value."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from ml.rows import rows_sha256, slices_sha256

ROWS = pa.table(
    {
        "key": pa.array(["a", None, "ö", ""]),
        "n": pa.array([1, None, -3, 2**53 + 1], pa.int64()),
        "x": pa.array([0.1, None, float("nan"), -0.0]),
        "d": pa.array([Decimal("1.20"), None, Decimal("0.00"), Decimal("-9.99")], pa.decimal128(6, 2)),
        "b": pa.array([True, None, False, True]),
        "at": pa.array([datetime(2024, 3, 10, 2, 30, tzinfo=UTC).replace(tzinfo=None), None, None, None]),
        "day": pa.array([date(2024, 3, 10), None, None, None]),
    }
)


def _set(name: str, values: pa.Array) -> pa.Table:
    return ROWS.set_column(ROWS.column_names.index(name), name, values)


def test_storage_does_not_count() -> None:
    expected = rows_sha256(ROWS)
    assert rows_sha256(pa.concat_tables([ROWS.slice(0, 1), ROWS.slice(1)])) == expected
    assert rows_sha256(pa.concat_tables([ROWS, ROWS]).slice(4)) == expected
    assert rows_sha256(pa.concat_tables([ROWS, ROWS]).slice(2, 4).take([2, 3, 0, 1])) == expected
    assert rows_sha256(_set("key", ROWS["key"].cast(pa.large_string()))) == expected
    assert rows_sha256(_set("key", ROWS["key"].dictionary_encode())) == expected
    assert rows_sha256(_set("x", pa.array([0.1, float("nan"), None, -0.0]))) == expected
    assert rows_sha256(_set("at", ROWS["at"].cast(pa.timestamp("us")))) == expected


def test_bytes_under_nulls_do_not_count() -> None:
    validity = pa.py_buffer(b"\x0d")
    dirty = pa.Array.from_buffers(pa.int64(), 4, [validity, pa.array([1, 99, -3, 2**53 + 1]).buffers()[1]])
    assert dirty.equals(ROWS["n"].combine_chunks())
    assert rows_sha256(_set("n", dirty)) == rows_sha256(ROWS)


CHANGES: list[Callable[[], pa.Table]] = [
    lambda: _set("key", pa.array(["a", "", "ö", None])),
    lambda: _set("key", pa.array(["", None, "aö", ""])),
    lambda: _set("n", pa.array([1, None, -3, 2**53], pa.int64())),
    lambda: _set("n", pa.array([1, 0, -3, 2**53 + 1], pa.int64())),
    lambda: _set("x", pa.array([0.1, None, None, 1e-320])),
    lambda: _set("b", pa.array([True, False, False, True])),
    lambda: _set("day", pa.array([date(2024, 3, 11), None, None, None])),
    lambda: _set(
        "d", pa.array([Decimal("1.21"), None, Decimal("0.00"), Decimal("-9.99")], pa.decimal128(6, 2))
    ),
    lambda: ROWS.rename_columns(["k", *ROWS.column_names[1:]]),
    lambda: ROWS.select(ROWS.column_names[::-1]),
    lambda: ROWS.take([1, 0, 2, 3]),
    lambda: ROWS.slice(0, 3),
]


@pytest.mark.parametrize("change", CHANGES)
def test_any_other_value_counts(change: Callable[[], pa.Table]) -> None:
    assert rows_sha256(change()) != rows_sha256(ROWS)


def test_no_rows_have_a_hash() -> None:
    assert rows_sha256(ROWS.slice(0, 0)) != rows_sha256(ROWS)


def test_hashes_of_slices_are_each_of_their_own_rows() -> None:
    order = np.array([3, 1, 0, 2, 1])
    ends = [1, 3, 3, 5]
    found = slices_sha256(ROWS, order, ends)
    starts = [0, 1, 3, 3]
    alone = [
        slices_sha256(ROWS.take(order[start:end]), np.arange(end - start), [end - start])[0]
        for start, end in zip(starts, ends, strict=True)
    ]
    assert found == alone
    assert len(set(found)) == 4
    dirty = pa.concat_tables([ROWS, ROWS]).slice(4)
    assert slices_sha256(dirty, order, ends) == found


@pytest.mark.parametrize("change", CHANGES)
def test_any_other_value_gives_another_hash_of_its_slice(change: Callable[[], pa.Table]) -> None:
    order = np.arange(ROWS.num_rows)
    assert slices_sha256(change(), order[: change().num_rows], [4]) != slices_sha256(ROWS, order, [4])

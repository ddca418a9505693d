"""Rows on their way into a published table: their plain types, and what must hold of them.

Writing files does not belong here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import BadBatch
from ml.lake.certificates import Certificate


@dataclass(frozen=True)
class PublishBatch:
    """All rows that a table has for the days `first_day` to `last_day`, both included; None is open.

    `table` has a `day` column (DATE), or none if both days are None: such a table is replaced as a whole.
    Of the days the table then has, the newest `keep_days` calendar days stay; None keeps all. `columns`
    describes columns by name. Rows without a `certificate` are read, but never trained on.
    """

    table: pa.Table
    first_day: date | None = None
    last_day: date | None = None
    keep_days: int | None = None
    description: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    certificate: Certificate | None = None


def checked(name: str, batch: PublishBatch) -> pa.Table:
    """The batch's rows in plain types and ordered by day. Raises BadBatch."""
    table = plain(batch.table)
    for column in table.schema:
        if pa.types.is_null(column.type) or pa.types.is_nested(column.type):
            found = f'have a column "{column.name}" of type {column.type}'
            raise BadBatch(name, found, "a scalar type: cast it in the table's SQL")
    if "day" not in table.column_names and not (batch.first_day or batch.last_day or batch.keep_days):
        return table
    _check_days(name, batch, table)
    return _sorted(table)


def _check_days(name: str, batch: PublishBatch, table: pa.Table) -> None:
    if "day" not in table.column_names or table.schema.field("day").type != pa.date32():
        raise BadBatch(name, "have no column day of type DATE", 'a DATE column "day"')
    first, last = batch.first_day or date.min, batch.last_day or date.max
    if first > last:
        raise BadBatch(name, f"are for {first} to {last}", "a first day that is not after the last")
    if table["day"].null_count:
        raise BadBatch(name, f"have no day in {table['day'].null_count} rows", "a day in every row")
    low, high = pc.min_max(table["day"]).as_py().values()
    if low is not None and not first <= low <= high <= last:
        raise BadBatch(name, f"have days from {low} to {high}", f"days from {first} to {last}")


def plain(table: pa.Table) -> pa.Table:
    """The same rows with 32-bit string and binary offsets, no dictionaries, and microsecond times."""
    wanted = pa.schema([field.with_type(_plain(field.type)).remove_metadata() for field in table.schema])
    return table.cast(wanted) if table.schema != wanted else table


def by_day(table: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """Slices of a table ordered by day, without copying."""
    if table.num_rows == 0:
        return
    runs = pc.run_end_encode(table["day"].combine_chunks())
    start = 0
    for day, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield day, table.slice(start, end - start)
        start = end


def _sorted(table: pa.Table) -> pa.Table:
    if table.num_rows == 0:
        return table
    days = table["day"].cast(pa.int32()).combine_chunks()
    if pc.all(pc.greater_equal(days.slice(1), days.slice(0, len(days) - 1))).as_py() is not False:
        return table
    return table.take(pc.array_sort_indices(days))


def _plain(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(type_):
        return _plain(type_.value_type)
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return pa.string()
    if pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_):
        return pa.binary()
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", type_.tz)
    if pa.types.is_integer(type_) and type_.bit_width in {8, 16}:
        return pa.int32()
    return type_

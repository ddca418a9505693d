"""Rows into a published table: a range of days replaced in one commit.

Reading does not belong here, nor does what belongs together across tables.
"""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.errors import BadBatch
from ml.lake import iceberg
from ml.lake.batches import PublishBatch, by_day

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.partitioning import PartitionKey
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata


def replace_days(table: "Table", batch: PublishBatch, rows: pa.Table, kept: set[int]) -> int:
    """Replace the batch's days by `rows` (plain, ordered by day); gives the new snapshot's id.

    Snapshots that are neither `kept` nor tagged are forgotten in the same commit, since a publish takes the
    longer the more there are. Raises BadBatch when the rows have columns that days that stay cannot have.
    """
    gone, rows = _replaced(table, batch, rows)
    n_gone = sum(1 for _ in table.scan(row_filter=gone, selected_fields=("day",)).plan_files())
    with _transaction(table) as tx:
        if n_gone:
            tx.delete(gone)  # drops whole files: each holds one day and says so
        _fit_schema(tx, table.name()[-1], batch, rows, keeps_rows=n_gone < _n_files(table))
        with tx.update_snapshot().merge_append() as added:
            for file in _written(table, tx.table_metadata, rows):
                added.append_data_file(file)
        iceberg.forget(tx, kept)
    return int(table.current_snapshot().snapshot_id)


def _transaction(table: "Table") -> "Transaction":
    """A transaction that looks its metadata up once a change.

    PyIceberg's copies all of it, with every snapshot there is, some forty times a publish.
    """
    from pyiceberg.table import Transaction

    class Remembering(Transaction):  # type: ignore[misc]  # PyIceberg is imported late, so it is Any here
        _seen: tuple[object, int, Any] = (None, 0, None)

        @property
        def table_metadata(self) -> "TableMetadata":
            base, n = self._table.metadata, len(self._updates)
            if self._seen[0] is not base or self._seen[1] != n:
                self._seen = (base, n, super().table_metadata)
            return self._seen[2]

    return Remembering(table)


def _replaced(table: "Table", batch: PublishBatch, rows: pa.Table) -> tuple["BooleanExpression", pa.Table]:
    """What goes, and the rows to add: those of days that are kept."""
    from pyiceberg.expressions import LessThan, Or

    window = iceberg.between(batch.first_day, batch.last_day)
    if batch.keep_days is None:
        return window, rows
    days = {iceberg.day_of(task) or date.min for task in table.scan().plan_files()}
    days = {day for day in days if not _is_inside(batch, day)}
    if rows.num_rows:
        days.add(pc.max(rows["day"]).as_py())
    if not days:
        return window, rows
    oldest = max(days) - timedelta(days=batch.keep_days - 1)
    kept = rows.filter(pc.greater_equal(rows["day"], pa.scalar(oldest)))
    return Or(window, LessThan("day", oldest.isoformat())), kept


def _is_inside(batch: PublishBatch, day: date) -> bool:
    return (batch.first_day or date.min) <= day <= (batch.last_day or date.max)


def _fit_schema(
    tx: "Transaction", name: str, batch: PublishBatch, rows: pa.Table, *, keeps_rows: bool
) -> None:
    """Make the table's columns those of `rows`; days that stay must mean the same under the new columns."""
    now, wanted = iceberg.arrow_schema(tx.table_metadata.schema()), rows.schema
    gone = [field.name for field in now if field.name not in wanted.names]
    retyped = [f.name for f in now if f.name in wanted.names and wanted.field(f.name).type != f.type]
    new = [name for name in wanted.names if name not in now.names or name in retyped]
    if not (gone or new):
        return
    before = {field.name for schema in tx.table_metadata.schemas for field in schema.fields}
    again = [name for name in new if name in before]
    if again and keeps_rows:
        found = f'have the column "{again[0]}", which days that stay have with another type or meaning'
        raise BadBatch(name, found, "all days of the table in one publish")
    with tx.update_schema(allow_incompatible_changes=True) as update:
        for column in (*gone, *retyped):
            update.delete_column(column)
    with tx.update_schema() as update:
        update.union_by_name(iceberg.described(wanted, batch.columns))


def _written(table: "Table", metadata: "TableMetadata", rows: pa.Table) -> Iterator["DataFile"]:
    """Write one file a day.

    PyIceberg's own way filters all rows once for every day and gathers bounds of every column in Python,
    which takes longer than writing; days prune by themselves, and Parquet keeps its own bounds.
    """
    from pyiceberg.io.pyarrow import schema_to_pyarrow
    from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
    from pyiceberg.table.locations import load_location_provider

    numbered = schema_to_pyarrow(metadata.schema())  # Iceberg's field numbers, as Parquet has to have them
    schema = pa.schema([field.with_type(rows.schema.field(field.name).type) for field in numbered])
    rows, spec, run = rows.select(schema.names).cast(schema), metadata.spec(), uuid.uuid4()
    locations = load_location_provider(metadata.location, metadata.properties)
    slices = by_day(rows) if spec.fields else iter([(date.min, rows)][: rows.num_rows])

    def write(numbered_slice: tuple[int, tuple[date, pa.Table]]) -> "DataFile":
        no, (day, slice_) = numbered_slice
        key = PartitionKey(
            [PartitionFieldValue(field, day) for field in spec.fields], spec, metadata.schema()
        )
        location = locations.new_data_location(f"00000-{no}-{run}.parquet", key if spec.fields else None)
        with table.io.new_output(location).create() as stream:
            pq.write_table(slice_, stream, compression="zstd")
            size = stream.tell()
        return _data_file(metadata, location, key, slice_.num_rows, size)

    with ThreadPoolExecutor() as pool:
        yield from pool.map(write, enumerate(slices))


def _data_file(
    metadata: "TableMetadata", location: str, key: "PartitionKey", n_rows: int, size: int
) -> "DataFile":
    """The entry of a file. It bounds `day`, so that PyIceberg can tell that a delete takes the whole file."""
    from pyiceberg.conversions import to_bytes
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat

    field = {spec.source_id: metadata.schema().find_type(spec.source_id) for spec in metadata.spec().fields}
    bounds = {number: to_bytes(type_, key.partition[0]) for number, type_ in field.items()}
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=key.partition,
        record_count=n_rows,
        file_size_in_bytes=size,
        value_counts=dict.fromkeys(field, n_rows),
        null_value_counts=dict.fromkeys(field, 0),
        lower_bounds=bounds,
        upper_bounds=bounds,
        spec_id=metadata.default_spec_id,
    )


def _n_files(table: "Table") -> int:
    snapshot = table.current_snapshot()
    return int(snapshot.summary["total-data-files"] or 0) if snapshot and snapshot.summary else 0

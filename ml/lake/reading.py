"""Rows out of a published table.

Which snapshot is read is the caller's to say.
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds

from ml.errors import UnknownColumn
from ml.lake.batches import plain
from ml.lake.iceberg import arrow_schema, between, day_of

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table import FileScanTask, Table


def read(
    table: "Table",
    snapshot: int,
    columns: Sequence[str] | None,
    first_day: date | None,
    last_day: date | None,
) -> pa.Table:
    """A snapshot's rows in plain types, by day and then as they were published. Raises UnknownColumn."""
    scan = table.scan(snapshot_id=snapshot, row_filter=between(first_day, last_day))
    schema = arrow_schema(scan.projection())
    for column in columns or ():
        if column not in schema.names:
            raise UnknownColumn(column, table.name()[-1], schema.names)
    wanted = pa.schema([schema.field(name) for name in columns or schema.names])
    tasks = sorted(scan.plan_files(), key=lambda task: (day_of(task) or date.min, task.file.file_path))
    if any(task.delete_files for task in tasks):  # another engine deleted rows; PyIceberg leaves them out
        return plain(scan.select(*wanted.names).to_arrow()).select(wanted.names)
    return _read_files(table.io, tasks, wanted)


def _read_files(io: "FileIO", tasks: Sequence["FileScanTask"], schema: pa.Schema) -> pa.Table:
    # PyIceberg's own reader costs 10 ms a file, this 2. It finds columns by name where Iceberg has numbers:
    # the same here, as a column that comes back or changes its type comes with all days anew (`writing`).
    from pyiceberg.io.pyarrow import PyArrowFileIO

    if not tasks:
        return schema.empty_table()
    assert isinstance(io, PyArrowFileIO)  # noqa: S101  (chosen where the catalog is opened)
    places = [PyArrowFileIO.parse_location(task.file.file_path) for task in tasks]
    paths = [path for _, _, path in places]
    files = io.fs_by_scheme(places[0][0], places[0][1])
    return ds.FileSystemDataset.from_paths(paths, schema, ds.ParquetFileFormat(), files).to_table()

"""A landed Parquet file's values as cells: text, as those of a CSV file are.

What the text should mean (types, ranges, rules) does not belong here.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import FileRefused
from ml.sources.cells import Cells
from ml.sources.declaration import Source
from ml.sources.header import compare


def read_parquet(source: Source, path: Path, data: bytes) -> Cells:
    """The cells of a whole Parquet file. Raises FileRefused, naming the column where there is one."""
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        header = compare(source, path, list(file.schema_arrow.names))
        declared = [column.in_file for column in source.columns]
        read = file.read([name for name in file.schema_arrow.names if name in declared], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        told = str(error).partition("\n")[0]
        raise FileRefused(path, f"it is not a whole Parquet file: {told}", "Parquet") from error
    columns = {f"_cell_{i}": values for i, values in enumerate(_texts(source, path, read))}
    numbers = pa.array(range(1, read.num_rows + 1), pa.int32())
    return Cells(pa.table({**columns, "row_number": numbers}), (), header.drift)


def _texts(source: Source, path: Path, read: pa.Table) -> Iterator[Any]:
    """Each declared column as text; one that the file lacks, which may be so, has no values."""
    for column in source.columns:
        if column.in_file not in read.column_names:
            yield pa.nulls(read.num_rows, pa.string())
            continue
        values = read[column.in_file]
        try:
            yield values.cast(pa.string())
        except pa.ArrowException as error:
            found = f"its values are of type {values.type}, which are no text, number or time"
            raise FileRefused(
                path, found, f"a column of type {column.type}", column=column.in_file
            ) from error

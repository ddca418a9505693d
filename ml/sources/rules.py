"""Rules for a file as a whole: how many rows it has, and how much of a column may be missing.

Rules for single rows are `checking`'s; what the header holds is `reading`'s.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import FileRefused
from ml.sources.declaration import Source


def check_file(source: Source, path: Path, cells: pa.Table, n_rows: int) -> None:
    """Raise FileRefused for the first rule that the file breaks.

    `cells` has a column `_cell_<i>` of text for each declared column, and `row_number`; `n_rows` counts lines
    that have no cells too.
    """
    told = f"it has {n_rows} rows after the header"
    if n_rows < source.min_rows:
        raise FileRefused(path, told, f"at least {source.min_rows}")
    if source.max_rows is not None and n_rows > source.max_rows:
        raise FileRefused(path, told, f"at most {source.max_rows}")
    for i, column in enumerate(source.columns):
        given = cells.column(f"_cell_{i}")
        if column.max_missing is None or given.null_count <= column.max_missing * len(given):
            continue
        first = cells.column("row_number")[pc.index(pc.is_null(given), True).as_py()].as_py()
        raise FileRefused(
            path,
            f"{given.null_count} of {len(given)} values are missing ({given.null_count / len(given):.1%})",
            f"at most {column.max_missing:.1%} missing",
            row=first,
            column=column.in_file,
        )

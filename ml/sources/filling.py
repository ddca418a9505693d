"""Files into raw rows and quarantine, many at a time, inside a transaction of the caller's.

Which files are due, and where copies are kept, does not belong here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.errors import FileRefused
from ml.sources import drift, raw
from ml.sources.cells import Cells
from ml.sources.checking import typed_rows
from ml.sources.consequences import refuse_changed, store_changes
from ml.sources.declaration import Source
from ml.sources.faults import judge, possible_faults, register_faults
from ml.sources.kept import Version
from ml.sources.reading import read_cells

_CHUNK_BYTES = 256 * 2**20  # of files parsed at once; as cells about three times that


@dataclass(frozen=True)
class Arrived:
    """A file's bytes, the version they are, the path to name in messages, if its day had a file before."""

    path: Path
    version: Version
    data: bytes
    is_correction: bool


@dataclass
class Filled:
    """What became of the files: counts by version, and why some were refused."""

    held: dict[Version, raw.Held] = field(default_factory=dict)
    refused: dict[Version, FileRefused] = field(default_factory=dict)


def fill(con: duckdb.DuckDBPyConnection, source: Source, arrived: Sequence[Arrived]) -> Filled:
    """Insert the files' rows; the temporary tables `_lookup_*` must be there.

    A refused file leaves no trace. The caller commits.
    """
    filled = Filled()
    for chunk in _chunks(arrived):
        _fill_chunk(con, source, chunk, filled)
    return filled


def _chunks(arrived: Iterable[Arrived]) -> Iterator[list[Arrived]]:
    chunk: list[Arrived] = []
    for file in arrived:
        if chunk and sum(len(one.data) for one in chunk) + len(file.data) > _CHUNK_BYTES:
            yield chunk
            chunk = []
        chunk.append(file)
    if chunk:
        yield chunk


def _fill_chunk(con: duckdb.DuckDBPyConnection, source: Source, chunk: list[Arrived], filled: Filled) -> None:
    cells: dict[int, Cells] = {}
    for no, file in enumerate(chunk):
        try:
            cells[no] = read_cells(source, file.path, file.data)
        except FileRefused as error:
            filled.refused[file.version] = error
    if not cells:
        return
    _make_rows(con, source, chunk, cells)
    paths = {no: chunk[no].path for no in cells}
    drifted = drift.find(con, source, {no: chunk[no].version.day for no in cells})
    register_faults(con, source, cells, drifted.kept_out_categories())
    n_bad, refused = judge(con, source, paths, cells, drifted)
    refused |= refuse_changed(con, source, paths, drifted, refused)
    for no, read in cells.items():
        version, n = chunk[no].version, n_bad.get(no, 0)
        if no in refused:
            filled.refused[version] = refused[no]
        else:
            filled.held[version] = raw.Held(version, len(chunk[no].data), read.n_rows - n, n)
    _insert(con, source, list(refused), any_bad=bool(n_bad))
    store_changes(con, source, {no: read for no, read in cells.items() if no not in refused}, drifted)


def _make_rows(
    con: duckdb.DuckDBPyConnection, source: Source, chunk: list[Arrived], cells: dict[int, Cells]
) -> None:
    """Register `_cells`, `_batch` (one row a file) and `_rows` (typed, `_good` or not)."""
    tables = [
        read.table.append_column("_file", pa.array([no] * read.table.num_rows, pa.int32()))
        for no, read in cells.items()
    ]
    con.register("_cells", pa.concat_tables(tables))
    of_file = {
        "day": pa.array([file.version.day for file in chunk], pa.date32()),
        "source_file_id": pa.array([file.version.sha256 for file in chunk], pa.string()),
        "loaded_at": pa.array([file.version.loaded_at for file in chunk], pa.timestamp("us")),
    }
    batch = {
        "_file": pa.array(range(len(chunk)), pa.int32()),
        "is_correction": pa.array([file.is_correction for file in chunk], pa.bool_()),
        **of_file,
    }
    con.register("_batch", pa.table(batch))
    names = ", ".join(name for name in source.raw_columns() if name not in of_file)
    # Held as Arrow: writing a temporary table costs twice as much.
    rows = con.execute(f"select _file, _good, {names} from ({typed_rows(source)})").to_arrow_table()
    files = rows["_file"].combine_chunks()
    for name, values in of_file.items():
        rows = rows.append_column(name, pa.DictionaryArray.from_arrays(files, values))
    con.register("_rows", rows)


def _insert(con: duckdb.DuckDBPyConnection, source: Source, refused: list[int], *, any_bad: bool) -> None:
    """Put good rows into raw and bad ones into quarantine, but for the refused files'."""
    accepted = f"_file not in ({', '.join(map(str, [-1, *refused]))})"
    con.execute(
        f"insert into raw.{source.name} select {', '.join(source.raw_columns())} from _rows "
        + ("anti join _faults using (_file, row_number) " if any_bad else "")
        + f"where _good and {accepted}"
    )
    if any_bad:
        faults = possible_faults(source)
        names = {"column_name": [fault.column for fault in faults], "rule": [fault.rule for fault in faults]}
        con.register("_names", pa.table({"fault": pa.array(range(len(faults)), pa.int32()), **names}))
        con.execute(
            "insert into raw.quarantine select ?, day, source_file_id, row_number, column_name, value, rule, "
            "loaded_at from _faults join _batch using (_file) join _names using (fault) "
            f"where {accepted} order by loaded_at, row_number, fault",
            [source.name],
        )

"""A landed file's bytes as cells: text, with the faults that the whole file is refused for.

What the text should mean (types, ranges, rules) does not belong here.
"""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc

from ml.errors import FileRefused
from ml.sources.cells import Cells, Misshapen
from ml.sources.columnar import read_parquet
from ml.sources.declaration import CsvFormat, Source
from ml.sources.header import Header, read_header
from ml.sources.rules import check_file


def read_cells(source: Source, path: Path, data: bytes) -> Cells:
    """Parse `data`, the bytes of `path`. Raises FileRefused naming row and column where there is one."""
    if not data.strip():
        raise FileRefused(path, "the file is empty", "a header and at least one row")
    form = source.format
    cells = (
        _read_csv(source, form, path, data)
        if isinstance(form, CsvFormat)
        else read_parquet(source, path, data)
    )
    check_file(source, path, cells.table, cells.n_rows)
    return cells


def _read_csv(source: Source, form: CsvFormat, path: Path, data: bytes) -> Cells:
    data = _as_utf8(source, form, path, data)
    header = read_header(source, path, data.split(b"\n", 1)[0].decode("utf-8-sig").rstrip("\r"))
    if not data.endswith(b"\n"):
        last = data.rsplit(b"\n", 1)[-1].decode()
        raise FileRefused(
            path,
            f'the file is cut off: its last line "{_short(last)}" does not end with a newline',
            "the whole file",
            row=max(data.count(b"\n"), 1),
        )
    cells = _parse(source, form, path, data, header)
    cut = [line for line in cells.misshapen if line.row_number == cells.n_rows]
    if cut and cut[0].n_fields < len(header.names):
        found = f'the file is cut off: its last line "{_short(cut[0].text)}" has {cut[0].n_fields} fields'
        raise FileRefused(path, found, f"{len(header.names)} fields", row=cut[0].row_number)
    return cells


def _as_utf8(source: Source, form: CsvFormat, path: Path, data: bytes) -> bytes:
    encoding = form.encoding
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        index = data.count(form.delimiter.encode(), line_start, error.start)
        column = source.columns[min(index, len(source.columns) - 1)].in_file
        row = data.count(b"\n", 0, error.start)
        found = f"byte 0x{data[error.start]:02x} at offset {error.start} is not {encoding.upper()}"
        raise FileRefused(path, found, f"{encoding.upper()} text", row=row, column=column) from error
    if b"\x00" in data:
        row = data.count(b"\n", 0, data.index(b"\x00"))
        raise FileRefused(path, "a NUL byte is not text", f"{encoding.upper()} text", row=row)
    return data if encoding == "utf-8" else text.encode()


def _parse(source: Source, form: CsvFormat, path: Path, data: bytes, header: Header) -> Cells:
    names = [f"_cell_{i}" for i in range(len(source.columns))]
    misshapen: list[Misshapen] = []

    def set_aside(row: Any) -> str:
        misshapen.append(Misshapen(row.number - 1, row.actual_columns, row.text))
        return "skip"

    try:
        table = pc.read_csv(
            io.BytesIO(data),
            read_options=pc.ReadOptions(
                use_threads=False, block_size=len(data) + 1, skip_rows=1, column_names=header.names
            ),
            parse_options=pc.ParseOptions(
                delimiter=form.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=set_aside,
            ),
            convert_options=pc.ConvertOptions(
                include_columns=names,
                include_missing_columns=True,
                column_types=dict.fromkeys(names, pa.string()),
                null_values=list(form.null_values),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise FileRefused(path, f"it is not CSV: {error}", "CSV as declared") from error
    aside = {row.row_number for row in misshapen}
    numbers = [n for n in range(1, table.num_rows + len(aside) + 1) if n not in aside] if aside else None
    rows = pa.array(numbers or range(1, table.num_rows + 1), pa.int32())
    return Cells(table.append_column("row_number", rows), tuple(misshapen), header.drift)


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

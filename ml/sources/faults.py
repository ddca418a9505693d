"""Which rows of files are bad and why, and whether so many that a file is refused.

Reading files and storing rows do not belong here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.errors import FileRefused
from ml.sources.cells import Cells
from ml.sources.checking import Fault, cell_faults, row_faults, typed_rows
from ml.sources.declaration import Source
from ml.sources.drift import Drifted
from ml.sources.findings import Finding

UNSEEN = "was seen before (new category)"
_RETYPED_SHARE = 0.5  # a column of which more values than this are not of its type has been retyped


@dataclass(frozen=True)
class _Worst:
    """What a file may be refused for: `n` faults of one kind, or `n` bad rows, and the first of them."""

    n: int
    row_number: int
    fault: int
    value: str | None


def possible_faults(source: Source) -> list[Fault]:
    """Everything that can be wrong with a row, in the order of their numbers in `_faults`."""
    key = ", ".join(source.key)
    return [
        Fault(None, "has as many fields as the header", "false"),
        Fault(None, f"has a key ({key}) of its own in the file", "false"),
        *(
            Fault(_single(one), f"has a unique {', '.join(one)} in the file", "false")
            for one in source.unique
        ),
        *cell_faults(source),
        *row_faults(source),
        *(Fault(column, UNSEEN, "false") for column in _kept_out(source)),
    ]


def register_faults(
    con: duckdb.DuckDBPyConnection, source: Source, cells: Mapping[int, Cells], unseen: pa.Table
) -> None:
    """Make `_faults` (`_file`, `row_number`, `fault`, `value`): all that is wrong with `_rows`.

    `unseen` has the categories (`_file`, `column_name`, `category`) whose rows are to be kept out.
    """
    lines = [(no, line) for no, read in cells.items() for line in read.misshapen]
    misshapen = {
        "_file": pa.array([no for no, _ in lines], pa.int32()),
        "row_number": pa.array([line.row_number for _, line in lines], pa.int32()),
        "fault": pa.array([0] * len(lines), pa.int32()),
        "value": pa.array([line.text for _, line in lines], pa.string()),
    }
    con.register("_misshapen", pa.table(misshapen))
    parts = ["select * from _misshapen"]
    if source.duplicates == "quarantine":
        parts.append(_duplicates(1, source.key))
    if unseen.num_rows:
        con.register("_unseen", unseen)
        parts += _unseen(source)
    parts += [_duplicates(2 + i, columns) for i, columns in enumerate(source.unique)]
    suspects = con.execute("select _file from _rows group by _file having not bool_and(_good)").fetchall()
    if suspects:
        parts += _broken_rules(con, source, [no for (no,) in suspects])
    con.register("_faults", con.execute(" union all ".join(parts)).to_arrow_table())


def judge(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    paths: Mapping[int, Path],
    cells: Mapping[int, Cells],
    drifted: Drifted,
) -> tuple[dict[int, int], dict[int, FileRefused]]:
    """From `_faults`: the number of bad rows of every file that has some, and the files refused for it.

    Retyped columns are added to `drifted`.
    """
    faults = possible_faults(source)
    types = ", ".join(str(no) for no, fault in enumerate(faults) if fault.is_type) or "-1"
    retyped = con.execute(
        "select _file, count(*), min(row_number), fault, arg_min(value, row_number) from _faults "
        f"where fault in ({types}) group by all order by count(*), fault desc"
    ).fetchall()
    bad = con.execute(
        "select _file, count(distinct row_number), min(row_number), arg_min(fault, (row_number, fault)), "
        "arg_min(value, (row_number, fault)) from _faults group by _file"
    ).fetchall()
    refused = {no: _too_many(source, paths[no], cells[no], _Worst(*worst), faults) for no, *worst in bad}
    for no, *worst in retyped:
        finding = _retyped(source, cells[no], _Worst(*worst), faults)
        if finding:
            drifted.add(no, finding)
        if finding and finding.action == "fail":
            refused[no] = FileRefused(
                paths[no], str(finding), finding.expected, row=worst[1], column=finding.column
            )
    n_bad = {no: n for no, n, *_ in bad}
    return n_bad, {no: error for no, error in refused.items() if error}


def _too_many(
    source: Source, path: Path, cells: Cells, worst: _Worst, faults: list[Fault]
) -> FileRefused | None:
    share = worst.n / cells.n_rows
    most = 0.0 if source.bad_rows.action == "fail" else source.bad_rows.max_share
    if share <= most:
        return None
    return FileRefused(
        path,
        f'{worst.n} of {cells.n_rows} rows are bad ({share:.1%}), first "{worst.value or "no value"}"',
        f'a row that "{faults[worst.fault].rule}", and at most {most:.1%} bad rows (bad_rows)',
        row=worst.row_number,
        column=_in_file(source, faults[worst.fault]),
    )


def _retyped(source: Source, cells: Cells, worst: _Worst, faults: list[Fault]) -> Finding | None:
    fault = faults[worst.fault]
    place, column = next((i, one) for i, one in enumerate(source.columns) if one.name == fault.column)
    n_values = cells.table.num_rows - cells.table.column(f"_cell_{place}").null_count
    if worst.n <= _RETYPED_SHARE * n_values:
        return None
    found = f'{worst.n / n_values:.0%} of the values are not of type {column.type}, first "{worst.value}"'
    expected = f"{column.type} values in this column"
    return Finding("retyped_column", column.in_file, found, expected, source.drift.retyped_columns)


def _in_file(source: Source, fault: Fault) -> str | None:
    return next((column.in_file for column in source.columns if column.name == fault.column), None)


def _broken_rules(con: duckdb.DuckDBPyConnection, source: Source, files: list[int]) -> list[str]:
    these = typed_rows(source, f"_file in ({', '.join(map(str, files))})")
    con.execute(f"create or replace temp table _suspects as select * from ({these}) where not _good")
    texts = ", ".join(f"coalesce(_cell_{i}, '')" for i in range(len(source.columns)))
    delimiter = source.format.between_cells.replace("'", "''")
    whole_row = f"concat_ws('{delimiter}', {texts})"
    place = {column.name: f"_cell_{i}" for i, column in enumerate(source.columns)}
    return [
        f"select _file, row_number, {no}, {place.get(fault.column or '', whole_row)} from _suspects "
        f"where {fault.is_bad} and {'true' if fault.column else '_cells_good'}"
        for no, fault in enumerate(possible_faults(source))
    ]


def _kept_out(source: Source) -> tuple[str, ...]:
    policy = source.drift.categories
    return policy.columns if policy and policy.new == "quarantine" else ()


def _unseen(source: Source) -> list[str]:
    first = len(possible_faults(source)) - len(_kept_out(source))
    return [
        f"select _file, row_number, {first + i}, {column}::varchar from _rows semi join _unseen "
        f"on _unseen._file = _rows._file and column_name = '{column}' and category = {column}::varchar"
        for i, column in enumerate(_kept_out(source))
    ]


def _single(columns: tuple[str, ...]) -> str | None:
    return columns[0] if len(columns) == 1 else None


def _duplicates(fault: int, columns: tuple[str, ...]) -> str:
    """The good rows that have the values of an earlier good row; one that lacks a value is not compared."""
    names = ", ".join(columns)
    given = " and ".join(f"{name} is not null" for name in columns)
    return f"""
        select _file, row_number, {fault}, concat(concat_ws(', ', {names}), ' (as in row ', first_row, ')')
        from _rows join (
            select _file, {names}, min(row_number) as first_row from _rows where _good and {given}
            group by all having count(*) > 1
        ) using (_file, {names})
        where _good and row_number > first_row
    """

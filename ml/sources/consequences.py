"""What a change leads to: a refused file, or a finding kept beside the rows.

How changes are found does not belong here.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.errors import FileRefused
from ml.sources import fingerprints
from ml.sources.cells import Cells
from ml.sources.declaration import Source
from ml.sources.drift import Drifted
from ml.sources.findings import Finding


def refuse_changed(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    paths: Mapping[int, Path],
    drifted: Drifted,
    refused: Mapping[int, FileRefused],
) -> dict[int, FileRefused]:
    """The files refused for what changed, and why.

    A file that was refused for its bad rows already is told with its changed units, which explain them.
    """
    found: dict[int, FileRefused] = {}
    for no, findings in drifted.findings.items():
        told = refused.get(no)
        units = next((one for one in findings if one.kind == "changed_units"), None)
        fatal = next((one for one in findings if one.action == "fail"), None)
        if told and units:
            cause = f"{told.found}; {units.column} has {units}"
            found[no] = FileRefused(paths[no], cause, told.expected, row=told.row, column=told.column)
        elif fatal and not told:
            column = next(one for one in source.columns if one.name == fatal.column)
            row = _first_row(con, no, fatal) if fatal.kind == "new_category" else None
            found[no] = FileRefused(paths[no], str(fatal), fatal.expected, row=row, column=column.in_file)
    return found


def store_changes(
    con: duckdb.DuckDBPyConnection, source: Source, cells: Mapping[int, Cells], drifted: Drifted
) -> None:
    """Keep the findings, fingerprints and new categories of the accepted files, those in `cells`."""
    found = [
        (no, finding)
        for no, read in cells.items()
        for finding in (*read.drift, *drifted.findings.get(no, ()))
    ]
    fields = ("kind", "column", "found", "expected", "action")
    told = {name: pa.array([getattr(one, name) for _, one in found], pa.string()) for name in fields}
    if found:
        con.register("_found", pa.table({"_file": pa.array([no for no, _ in found], pa.int32()), **told}))
        con.execute(
            'insert into raw.drift select ?, day, source_file_id, kind, "column", found, expected, action, '
            "loaded_at from _found join _batch using (_file) order by all",
            [source.name],
        )
        con.unregister("_found")
    if source.drift.units or source.drift.categories:
        fingerprints.store(con, source, cells, drifted.new_categories())


def _first_row(con: duckdb.DuckDBPyConnection, no: int, finding: Finding) -> int | None:
    """The first row that has the category which `finding` tells of between quotes."""
    row = con.execute(
        f"select min(row_number) from _rows where _file = ? and starts_with(?, "
        f"concat('\"', {finding.column}::varchar, '\" '))",
        [no, finding.found],
    ).fetchone()
    return row[0] if row else None

"""A file's header beside the declared columns: which are new, missing, doubled or in another order.

What stands below the header does not belong here.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from ml.errors import FileRefused, nearest
from ml.sources.declaration import Column, CsvFormat, Source
from ml.sources.findings import Action, Finding


@dataclass(frozen=True)
class Header:
    """The columns as they stand in the file, each by its `_cell_<i>` or `_extra_<i>`, and what changed."""

    names: tuple[str, ...]
    drift: tuple[Finding, ...] = ()


def read_header(source: Source, path: Path, line: str) -> Header:
    """Parse a CSV file's header line. Raises as `compare` does."""
    assert isinstance(source.format, CsvFormat)  # noqa: S101
    return compare(source, path, next(csv.reader([line], delimiter=source.format.delimiter), []))


def compare(source: Source, path: Path, found: list[str]) -> Header:
    """The names of a file's columns beside the declared ones.

    Raises FileRefused, naming the column, for what the source does not accept.
    """
    declared = {column.in_file: i for i, column in enumerate(source.columns)}
    names = tuple(
        f"_cell_{declared[name]}" if name in declared else f"_extra_{i}" for i, name in enumerate(found)
    )
    if list(declared) == found:
        return Header(names)
    twice = next((name for name in found if name in declared and found.count(name) > 1), None)
    if twice:
        raise FileRefused(path, "the header has the column twice", ",".join(declared), column=twice)
    drift = (*_missing(source, found), *_new(source, found), *_reordered(source, found))
    for finding in drift:
        if finding.action == "fail":
            raise FileRefused(path, str(finding), finding.expected, column=finding.column)
    return Header(names, drift)


def _missing(source: Source, found: list[str]) -> list[Finding]:
    wanted = [column.in_file for column in source.columns]
    extra = [name for name in found if name not in wanted]
    gone = sorted((column for column in source.columns if column.in_file not in found), key=_may_miss)
    like = f" {nearest(gone[0].in_file, extra)}" if gone and extra else ""
    told = f"the column is missing from the header{like}"
    return [
        Finding(
            "missing_column",
            column.in_file,
            told,
            ",".join(wanted),
            source.drift.missing_columns if _may_miss(column) else "fail",
        )
        for column in gone
    ]


def _may_miss(column: Column) -> bool:
    return column.nullable


def _new(source: Source, found: list[str]) -> list[Finding]:
    wanted = [column.in_file for column in source.columns]
    told = "the header has a column that is not declared"
    action: Action = source.drift.new_columns
    return [
        Finding("new_column", name, told, ",".join(wanted), action) for name in found if name not in wanted
    ]


def _reordered(source: Source, found: list[str]) -> list[Finding]:
    wanted = [column.in_file for column in source.columns if column.in_file in found]
    known = [name for name in found if name in wanted]
    place = next((i for i, name in enumerate(known) if name != wanted[i]), None)
    if place is None:
        return []
    told = f'the columns are in another order: "{known[place]}" stands where "{wanted[place]}" was'
    declared = ",".join(column.in_file for column in source.columns)
    return [Finding("reordered_columns", known[place], told, declared, source.drift.reordered_columns)]

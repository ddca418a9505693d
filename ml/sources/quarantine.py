"""What raw holds of bad rows and of changes, to be shown: counts by rule, samples, the days' trend.

Which rows are bad is `faults`'; nothing is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb

from ml.sources.declaration import Source

TREND_DAYS = 14


@dataclass(frozen=True)
class BadCell:
    """One broken rule of one row: `file` under landing, `row_number` 1 the first after the header.

    `column` is None when the rule is about the whole row; `value` is then its text.
    """

    source: str
    day: date | None
    file: str
    sha256: str
    row_number: int
    column: str | None
    value: str | None
    rule: str


@dataclass(frozen=True)
class Change:
    """A change that was found in a file that raw took."""

    day: date | None
    kind: str
    column: str
    found: str
    expected: str
    action: str


@dataclass(frozen=True)
class DayReport:
    """A day's newest file: rows in raw, bad rows, how often each rule (column, words) was broken, changes."""

    day: date | None
    n_rows: int
    n_bad: int
    by_rule: tuple[tuple[str | None, str, int], ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def bad_share(self) -> float:
        """Bad rows among all of the file's, 0 to 1."""
        return self.n_bad / max(self.n_rows + self.n_bad, 1)


@dataclass(frozen=True)
class Report:
    """The days asked for, some of their bad cells, and the days up to the last one (oldest first)."""

    days: tuple[DayReport, ...]
    sample: tuple[BadCell, ...]
    trend: tuple[DayReport, ...]


def report(
    con: duckdb.DuckDBPyConnection, source: Source, first: date | None, last: date | None, most: int = 10
) -> Report:
    """What is to be shown of the days `first` to `last` (None for both: of a source without days)."""
    since = last - timedelta(days=TREND_DAYS - 1) if last else None
    days = _days(con, source.name, min(first, since) if first and since else None, last)
    return Report(
        tuple(one for one in days if first is None or (one.day and one.day >= first)),
        tuple(bad_cells(con, source.name, first, last, most)),
        tuple(days[-TREND_DAYS:]),
    )


def bad_cells(
    con: duckdb.DuckDBPyConnection,
    source: str | None = None,
    first: date | None = None,
    last: date | None = None,
    most: int | None = None,
) -> list[BadCell]:
    """Broken rules of the newest files, by source, day and row; all sources and days when none is named.

    At most the first `most` of each file.
    """
    rows = con.execute(
        f"""
        select source, day,
            concat(source, '/', coalesce(day::varchar, source), '.', regexp_extract(files.path, '[a-z]+$')),
            source_file_id, row_number, column_name, value, rule
        from raw.quarantine semi join ({_newest(source, first, last)})
            using (source, source_file_id, loaded_at)
        left join (select source, source_file_id, loaded_at, path from raw.files) as files
            using (source, source_file_id, loaded_at)
        qualify row_number() over (partition by source, day order by row_number, column_name, rule)
            <= {most if most is not None else "1e18"}
        order by source, day, row_number, column_name, rule
        """,
        _asked(source, first, last),
    ).fetchall()
    return [BadCell(*row) for row in rows]


def counts(con: duckdb.DuckDBPyConnection, source: str | None, day: date | None) -> list[dict[str, Any]]:
    """How often each rule is broken, by source, column and rule, most often first."""
    rows = con.execute(
        f"""
        select source, column_name, rule, count(*) as n_rows, count(distinct source_file_id) as n_files
        from raw.quarantine semi join ({_newest(source, day, day)}) using (source, source_file_id, loaded_at)
        group by all order by n_rows desc, source, column_name, rule
        """,
        _asked(source, day, day),
    ).fetchall()
    return [dict(zip(("source", "column", "rule", "n_rows", "n_files"), row, strict=True)) for row in rows]


def changes(
    con: duckdb.DuckDBPyConnection,
    source: str | None = None,
    first: date | None = None,
    last: date | None = None,
) -> list[tuple[str, Change]]:
    """Changes found in the newest files, each with its source."""
    rows = con.execute(
        "select source, day, kind, column_name, found, expected, action from raw.drift "
        f"semi join ({_newest(source, first, last)}) using (source, source_file_id, loaded_at) order by all",
        _asked(source, first, last),
    ).fetchall()
    return [(name, Change(*row)) for name, *row in rows]


def _days(
    con: duckdb.DuckDBPyConnection, source: str, first: date | None, last: date | None
) -> Sequence[DayReport]:
    newest, asked = _newest(source, first, last), _asked(source, first, last)
    files = con.execute(f"select day, n_rows, n_quarantined from ({newest}) order by day", asked).fetchall()
    rules: dict[date | None, list[tuple[str | None, str, int]]] = {}
    found = con.execute(
        f"select day, column_name, rule, count(*) as n from raw.quarantine semi join ({newest}) "
        "using (source, source_file_id, loaded_at) group by all order by n desc, column_name, rule",
        asked,
    ).fetchall()
    for day, *rule in found:
        rules.setdefault(day, []).append((rule[0], rule[1], rule[2]))
    changed: dict[date | None, list[Change]] = {}
    for _, change in changes(con, source, first, last):
        changed.setdefault(change.day, []).append(change)
    return [
        DayReport(day, n_rows, n_bad, tuple(rules.get(day, ())), tuple(changed.get(day, ())))
        for day, n_rows, n_bad in files
    ]


def _newest(source: str | None, first: date | None, last: date | None) -> str:
    where = [
        *(["source = ?"] if source else []),
        *(["day >= ?"] if first else []),
        *(["day <= ?"] if last else []),
    ]
    return f"""
        select source, day, source_file_id, loaded_at, n_rows, n_quarantined from raw.files
        where {" and ".join(where) or "true"}
        qualify row_number() over (partition by source, day order by loaded_at desc) = 1
    """


def _asked(source: str | None, first: date | None, last: date | None) -> list[Any]:
    return [one for one in (source, first, last) if one is not None]

"""What a day's values looked like, in a few numbers a column, so that a new day is compared without a scan.

What makes two days differ is `drift`'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

import duckdb
import pyarrow as pa

from ml.sources.declaration import Source

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
TABLES = """
create table if not exists raw.fingerprints (
    source VARCHAR, day DATE, source_file_id VARCHAR, column_name VARCHAR, n_values INTEGER,
    quantiles DOUBLE[], categories VARCHAR[], loaded_at TIMESTAMP);
create table if not exists raw.categories (
    source VARCHAR, column_name VARCHAR, category VARCHAR, day DATE, loaded_at TIMESTAMP);
"""


@dataclass(frozen=True)
class Fingerprint:
    """A column on a day: its quantiles over values that are not 0 (0 is 0 in most units), or its categories.

    `n_values` is how many values the quantiles are of, and `quantiles` follow `QUANTILES`.
    """

    day: date
    n_values: int
    quantiles: tuple[float, ...] = ()
    categories: frozenset[str] = frozenset()


@dataclass
class History:
    """The newest fingerprint of each day by column, and how many days there were before."""

    days: set[date] = field(default_factory=set)
    columns: dict[str, dict[date, Fingerprint]] = field(default_factory=dict)

    def add(self, column: str, fingerprint: Fingerprint) -> None:
        """Note a column's fingerprint in place of an older one of its day."""
        self.columns.setdefault(column, {})[fingerprint.day] = fingerprint

    def before(self, column: str, day: date, n_days: int, since: date | None = None) -> list[Fingerprint]:
        """The column's fingerprints of the last `n_days` days there are before `day`, none before `since`."""
        of_column = self.columns.get(column, {})
        days = sorted(one for one in of_column if one < day and (since is None or one >= since))
        return [of_column[one] for one in days[-n_days:]]


def register_fingerprints(con: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Make `_fingerprints` from `_rows`: one row a file and column that is compared.

    Bad rows count too: a change of units makes values leave their range.
    """
    units = source.drift.units.columns if source.drift.units else ()
    categories = source.drift.categories.columns if source.drift.categories else ()
    wanted = ", ".join(map(str, QUANTILES))
    parts = [
        f"{{column_name: '{name}', n_values: count({name}) filter ({name} <> 0), "
        f"quantiles: quantile_cont({name}::double, [{wanted}]) filter ({name} <> 0), "
        "categories: null::varchar[]}"
        for name in units
    ] + [
        f"{{column_name: '{name}', n_values: count({name}), quantiles: null::double[], "
        f"categories: list_sort(list(distinct {name}::varchar) filter ({name} is not null))}}"
        for name in categories
    ]
    told = f"select _file, unnest([{', '.join(parts)}], recursive := true) from _rows group by _file"
    con.register("_fingerprints", con.execute(told).to_arrow_table())


def fresh(con: duckdb.DuckDBPyConnection) -> dict[int, list[tuple[str, Fingerprint]]]:
    """From `_fingerprints`: each file's columns."""
    found: dict[int, list[tuple[str, Fingerprint]]] = {}
    rows = con.execute(
        "select _file, column_name, day, n_values, quantiles, categories from _fingerprints "
        "join _batch using (_file) order by _file, column_name"
    ).fetchall()
    for no, column, *values in rows:
        found.setdefault(no, []).append((column, _fingerprint(*values)))
    return found


def history(con: duckdb.DuckDBPyConnection, source: Source, days: Iterable[date]) -> History:
    """What raw holds of the days before `days` that a comparison needs, and of which days it has rows."""
    units, categories = source.drift.units, source.drift.categories
    window = max(units.window_days if units else 0, categories.after_days if categories else 0)
    wanted = list(days)
    known = History()
    counted = con.execute("select distinct day from raw.files where source = ? order by 1", [source.name])
    known.days = {day for (day,) in counted.fetchall()}
    earlier = sorted(day for day in known.days if day < min(wanted))[-window:]
    rows = con.execute(
        "select column_name, day, n_values, quantiles, categories from raw.fingerprints "
        "where source = ? and day >= ? and day < ? order by loaded_at",
        [source.name, earlier[0] if earlier else min(wanted), max(wanted)],
    ).fetchall()
    for column, *values in rows:
        known.add(column, _fingerprint(*values))
    return known


def categories_seen(con: duckdb.DuckDBPyConnection, source: Source) -> dict[str, set[str]]:
    """Every category that raw ever took, by column."""
    seen: dict[str, set[str]] = {}
    rows = con.execute("select column_name, category from raw.categories where source = ?", [source.name])
    for column, category in rows.fetchall():
        seen.setdefault(column, set()).add(category)
    return seen


def store(con: duckdb.DuckDBPyConnection, source: Source, files: Iterable[int], new: pa.Table) -> None:
    """Keep the fingerprints of the accepted `files`, and categories taken for the first time.

    `new` has `_file`, `column_name` and `category`.
    """
    accepted = f"_file in ({', '.join(map(str, [-1, *files]))})"
    con.execute(
        "insert into raw.fingerprints select ?, day, source_file_id, column_name, n_values, quantiles, "
        f"categories, loaded_at from _fingerprints join _batch using (_file) where {accepted}",
        [source.name],
    )
    con.register("_new_categories", new)
    con.execute(
        "insert into raw.categories select ?, column_name, category, day, loaded_at "
        f"from _new_categories join _batch using (_file) where {accepted}",
        [source.name],
    )
    con.unregister("_new_categories")


def _fingerprint(
    day: date | datetime, n: int, quantiles: list[float] | None, categories: list[str] | None
) -> Fingerprint:
    return Fingerprint(day, n, tuple(quantiles or ()), frozenset(categories or ()))

"""Features for a hundred million questions, a window of days at a time, under a cap on DuckDB's memory.

The lookups are those of `features`, the `as_of` SQL is what dbt compiles for each window; questions and
states are nine months of the platform's tables, again and again under later dates and other names. It takes
long, so `make bench` leaves it out.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb

from assets.dbt_runner import DbtRunner
from benchmarks.built import FIRST, UNTIL, nine_months
from benchmarks.lookups import LOOKUPS, QUESTION_COLUMNS, QUESTIONS, Lookup, platform_sql
from benchmarks.measure import show
from benchmarks.scale import peak_mb
from ml.lake.workshop import Workshop
from ml.settings import Settings

N_QUESTIONS = 100_000_000
PERIODS = 13  # of nine months: ten years
WINDOW = timedelta(days=39)  # a seventh of nine months
MEMORY, SPILL = "8GB", "12GB"
ONE_DAY = timedelta(days=1)
PERIOD = UNTIL - FIRST + ONE_DAY
_TABLES = (("features", QUESTIONS), *(("intermediate", lookup.table) for lookup in LOOKUPS))
Window = tuple[date, date]


def main() -> None:
    """Make questions and states, answer them by the compiled SQL and by bare SQL, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        settings, runner = nine_months(Path(folder))
        statements = list(compiled(settings, runner))
        large = Path(folder) / "large" / "workshop.duckdb"  # its name is the catalog's in the compiled SQL
        large.parent.mkdir()
        con = duckdb.connect(str(large))
        con.execute(f"set TimeZone = 'UTC'; set memory_limit = '{MEMORY}'")
        con.execute(f"set max_temp_directory_size = '{SPILL}'; set preserve_insertion_order = false")
        con.execute(f"attach '{settings.home / 'workshop.duckdb'}' as small (read_only)")
        n_questions, n_states = multiplied(con)
        rows = [
            {"": "compiled `as_of`", **answered(con, "by_platform", statements)},
            {"": "bare ASOF joins", **answered(con, "by_bare_sql", map(bare, windows()))},
        ]
        is_equal = fingerprint(con, "by_platform") == fingerprint(con, "by_bare_sql")
        size_gb = large.stat().st_size / 1e9
    show(f"hundred million: {n_questions:,} questions, {n_states:,} states, DuckDB capped at {MEMORY}", rows)
    print(f"\nAnswers are {'equal' if is_equal else 'NOT EQUAL'}; the database takes {size_gb:.0f} GB.")


def windows() -> Iterator[Window]:
    """The days of all periods, in order."""
    first = FIRST
    while first < FIRST + PERIODS * PERIOD:
        yield first, first + WINDOW - ONE_DAY
        first += WINDOW


def compiled(settings: Settings, runner: DbtRunner) -> Iterator[str]:
    """What dbt makes of the lookups for each window."""
    with Workshop(settings).turn():
        for first, last in windows():
            yield runner.compiled_text(platform_sql(), start_day=str(first), end_day=str(last))


def bare(window: Window) -> str:
    """The same by hand: ASOF joins one after the other, each question asked as it stands."""
    answers = ", ".join(_answers(lookup, f"t{i}") for i, lookup in enumerate(LOOKUPS))
    joins = " ".join(
        f"asof left join (select * from intermediate.{one.table} where day between "
        f"date '{window[0] - timedelta(days=4)}' and date '{window[1] + ONE_DAY}') as t{i} "
        f"on q.{one.key} = t{i}.{one.table_key} and q.prediction_at >= t{i}.known_at"
        for i, one in enumerate(LOOKUPS)
    )
    asked = f"select * from features.{QUESTIONS} where day between date '{window[0]}' and date '{window[1]}'"
    return f"select q.flight_id, q.prediction_at, {answers} from ({asked}) as q {joins}"


def _answers(lookup: Lookup, alias: str) -> str:
    is_fresh = f"{alias}.known_at >= q.prediction_at - interval '{lookup.within_h} hours'"
    return ", ".join(
        f"case when {is_fresh} then {alias}.{column} end as {name}" for name, column in lookup.columns.items()
    )


def multiplied(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Fill the tables in order of days, as a project would; the numbers of questions and states."""
    asked = f"small.features.{QUESTIONS} where day between date '{FIRST}' and date '{UNTIL}'"
    (n_small,) = con.execute(f"select count(*) from {asked}").fetchall()[0]
    n_copies = -(-N_QUESTIONS // (n_small * PERIODS))
    for schema, table in _TABLES:
        con.execute(f"create schema if not exists {schema}")
        names = _columns(table)
        con.execute(f"create table {schema}.{table} as select {names} from small.{schema}.{table} limit 0")
        for first, last in windows():
            days = (first - FIRST) // PERIOD * PERIOD.days
            rows = _again(con, schema, table, days)
            own = f"day between date '{first - days * ONE_DAY}' and date '{last - days * ONE_DAY}'"
            copies = f"range({n_copies}) as copies (copy)"
            source = f"small.{schema}.{table}, {copies} where {own}"
            con.execute(f"insert into {schema}.{table} select {rows} from {source} order by day")
    counts = [con.execute(f"select count(*) from {s}.{t}").fetchall()[0][0] for s, t in _TABLES]
    return counts[0], sum(counts[1:])


def _columns(table: str) -> str:
    if table == QUESTIONS:
        return ", ".join((*QUESTION_COLUMNS, "day"))
    (lookup,) = (one for one in LOOKUPS if one.table == table)
    versions = ("corrected_at", "superseded_at") if lookup.has_versions else ()
    return ", ".join((lookup.table_key, "known_at", *versions, *lookup.columns.values(), "day"))


def _again(con: duckdb.DuckDBPyConnection, schema: str, table: str, days: int) -> str:
    """The columns, times later by `days`, and every text (keys and flights) that of another copy."""
    told = con.execute(f"describe select {_columns(table)} from small.{schema}.{table}").fetchall()
    changed = {
        "VARCHAR": "{0} || '-' || copy as {0}",
        "TIMESTAMP": f"{{0}} + interval {days} days as {{0}}",
        "DATE": f"{{0}} + {days} as {{0}}",
    }
    return ", ".join(changed.get(sql_type, "{0}").format(name) for name, sql_type, *_ in told)


def answered(con: duckdb.DuckDBPyConnection, name: str, statements: Iterable[str]) -> dict[str, object]:
    """Answer window by window into a new table; what it took, and the process's peak so far."""
    began = time.process_time(), time.monotonic()
    for n, sql in enumerate(statements):
        con.execute(f"insert into {name} {sql}" if n else f"create table {name} as {sql}")
    cpu_s, wall_s = time.process_time() - began[0], time.monotonic() - began[1]
    (n_rows,) = con.execute(f"select count(*) from {name}").fetchall()[0]
    return {
        "CPU s": cpu_s,
        "wall s": wall_s,
        "rows a CPU s": int(n_rows / cpu_s),
        "peak MB so far": peak_mb(),
    }


def fingerprint(con: duckdb.DuckDBPyConnection, name: str) -> tuple[int, int]:
    """The number of rows and the exact sum of their hashes, whatever their order."""
    rows = con.execute(f"select count(*), sum(hash(rows_)::hugeint) from {name} as rows_").fetchall()
    return tuple(rows[0])

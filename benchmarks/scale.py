"""Cost in proportion to what is new: one more day over one, three and ten years, and ten years built anew.

dbt is driven directly, since Dagster's calendar ends with 2013: each year in a window of its own, under a cap
on DuckDB's memory. Beside it stands the same SQL in a bare `create table as`.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from assets.dbt_nodes import is_daily, table_meta, tables_of
from assets.dbt_runner import DbtRunner
from benchmarks.built import build, project, take_in_landed
from benchmarks.measure import run, show
from benchmarks.new_day import scanned
from benchmarks.replicated import FIRST, LAST, add_days, new_year
from headwater.nycflights import land
from ml.lake.published import PublishBatch, Published
from ml.lake.workshop import Workshop
from ml.settings import Settings

HISTORIES = (1, 3, 10)  # years
NEW_DAYS = 3
MEMORY = "8GB"
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Spent:
    """CPU and wall seconds."""

    cpu_s: float
    wall_s: float


def main() -> None:
    """Build year after year, measure new days on the way, then build all of it with bare SQL."""
    with tempfile.TemporaryDirectory() as folder:
        settings = project(Path(folder), "home")
        land(settings.landing, None, LAST)
        with capped():
            days, years = _grown(settings)
        grown_mb = peak_mb()
        plan = Path(folder) / "plan.json"
        plan.write_text(json.dumps(_plan(settings)))
        database = Path(folder) / "bare" / "workshop.duckdb"  # its name is the catalog's in the compiled SQL
        database.parent.mkdir()
        run("benchmarks.scale", str(plan), str(database), settings=settings)
        bare = json.loads((Path(folder) / "bare.json").read_text())
        n_rows, differing = _differing(settings, database)
    show("scale: a new day", days)
    rows: list[dict[str, object]] = [
        {
            "": "dbt and its tests, a year at a time",
            "CPU s": sum(year.cpu_s for year in years),
            "wall s": sum(year.wall_s for year in years),
            "peak MB": grown_mb,
        },
        {
            "": "bare `create table as`, all at once",
            "CPU s": bare["cpu_s"],
            "wall s": bare["wall_s"],
            "peak MB": bare["peak_mb"],
        },
    ]
    show(f"scale: all tables for ten years, {n_rows:,} rows of features, DuckDB capped at {MEMORY}", rows)
    print(f"\nRows of features that differ: {differing}")


@contextmanager
def capped() -> Iterator[None]:
    """Every DuckDB database that this process opens may use MEMORY; dbt's profile has no place for it."""
    connect = duckdb.connect

    def opened(*args: Any, **kwargs: Any) -> duckdb.DuckDBPyConnection:
        con = connect(*args, **kwargs)
        con.execute(f"set memory_limit = '{MEMORY}'")
        return con

    duckdb.connect = opened
    try:
        yield
    finally:
        duckdb.connect = connect


def _grown(settings: Settings) -> tuple[list[dict[str, object]], list[Spent]]:
    """A row for each history's new days, and what each year's build took."""
    take_in_landed(settings)
    runner, days, years = DbtRunner(settings), [], []
    for n in range(HISTORIES[-1]):
        first, last = new_year(n), new_year(n + 1) - ONE_DAY
        if n:
            _replicate(settings, first, last)
            first -= ONE_DAY  # which was built before the new year's schedules were there
        years.append(_timed_build(runner, first, last, reference=True))
        _publish(settings, runner, first, last)
        if n + 1 in HISTORIES:
            days.append(_new_days(settings, runner, n + 1))
    return days, years


def _replicate(settings: Settings, first: date, last: date) -> None:
    with Workshop(settings).turn() as turn, turn.connect() as con:
        add_days(con, first, last)


def _new_days(settings: Settings, runner: DbtRunner, n_years: int) -> dict[str, object]:
    built, published = [], []
    for day in (new_year(n_years) + n * ONE_DAY for n in range(NEW_DAYS)):
        _replicate(settings, day, day)
        build(runner, day, day, daily=False)  # the year's aircraft, which come as a reference file would
        built.append(_timed_build(runner, day, day, reference=False))
        published.append(_publish(settings, runner, day, day))
    with Workshop(settings).turn() as turn, turn.connect() as con:
        n_rows = con.execute("select count(*) from features.flight_features").fetchall()[0][0]
    return {
        "history": f"{n_years * 365:,} days",
        "rows of features": n_rows,
        "build and test the day, CPU s": median(one.cpu_s for one in built),
        "publish the day, CPU s": median(one.cpu_s for one in published),
        "rows the day's SQL scans": scanned(settings, day),
    }


def _timed_build(runner: DbtRunner, first: date, last: date, *, reference: bool) -> Spent:
    began = time.process_time(), time.monotonic()
    if reference:
        build(runner, first, last, daily=False)
    build(runner, first, last, daily=True)
    return Spent(time.process_time() - began[0], time.monotonic() - began[1])


def _publish(settings: Settings, runner: DbtRunner, first: date, last: date) -> Spent:
    """Publish the days as a run does."""
    began, batches = (time.process_time(), time.monotonic()), {}
    with Workshop(settings).turn() as turn, turn.connect() as con:
        for node in tables_of(runner.manifest):
            meta = table_meta(node)
            if not (meta.get("publish") and is_daily(node)):
                continue
            until = last + timedelta(days=int(meta.get("reach_days", 0)))
            days = f"day between date '{first}' and date '{until}'"
            rows = con.execute(f"select * from {node['relation_name']} where {days}").to_arrow_table()
            keep_days = meta.get("keep_days")
            batches[node["name"]] = PublishBatch(rows, first_day=first, last_day=until, keep_days=keep_days)
        Published(settings).publish(batches)
    return Spent(time.process_time() - began[0], time.monotonic() - began[1])


def _plan(settings: Settings) -> dict[str, Any]:
    """The SQL of every table for all days there are, upstream first."""
    last = new_year(HISTORIES[-1]) + (NEW_DAYS - 1) * ONE_DAY
    window = {"start_day": str(FIRST), "end_day": str(last)}
    with Workshop(settings).turn():
        nodes = [n for n in DbtRunner(settings).compiled("*", **window) if n.resource_type == "model"]
    views = [node.name for node in nodes if node.config.materialized == "view"]
    tables = [(node.schema, node.name, node.compiled_code) for node in nodes]
    return {"workshop": str(settings.home / "workshop.duckdb"), "views": views, "tables": tables}


def bare(plan: Path, database: Path) -> None:
    """The measured process: every table from raw by `create table as`, nothing else.

    Copying raw into a database of its own is not counted.
    """
    told = json.loads(plan.read_text())
    con = duckdb.connect(str(database))
    con.execute(f"set TimeZone = 'UTC'; set memory_limit = '{MEMORY}'; create schema raw")
    con.execute(f"attach '{told['workshop']}' as platform (read_only)")
    for kind, column in (("tables", "table_name"), ("views", "sql")):
        # `<source>_current` reads `<source>_versions`, which therefore comes first.
        here = f"where database_name = 'platform' and schema_name = 'raw' order by {kind[:-1]}_name desc"
        for (text,) in con.execute(f"select {column} from duckdb_{kind}() {here}").fetchall():
            con.execute(text if kind == "views" else f"create table raw.{text} as from platform.raw.{text}")
    began = time.process_time(), time.monotonic()
    for schema, name, sql in told["tables"]:
        kind = "view" if name in told["views"] else "table"
        con.execute(f"create schema if not exists {schema}; create {kind} {schema}.{name} as {sql}")
    spent = Spent(time.process_time() - began[0], time.monotonic() - began[1])
    plan.with_name("bare.json").write_text(json.dumps({**asdict(spent), "peak_mb": peak_mb()}))


def _differing(settings: Settings, database: Path) -> tuple[int, int]:
    """Rows of features, and how many of them only one of the two builds has."""
    with duckdb.connect() as con:
        con.execute(f"set memory_limit = '{MEMORY}'")
        con.execute(f"attach '{settings.home / 'workshop.duckdb'}' as one (read_only)")
        con.execute(f"attach '{database}' as other (read_only)")
        rows = "select hash(f) as h from {}.features.flight_features as f"
        one, other = rows.format("one"), rows.format("other")
        differing = f"select count(*) from (({one} except all {other}) union all ({other} except all {one}))"
        n_rows = con.execute("select count(*) from one.features.flight_features").fetchall()[0][0]
        return int(n_rows), int(con.execute(differing).fetchall()[0][0])


def peak_mb() -> float:
    """The most memory this process ever had; what `getrusage` tells of a child includes its parent's."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    bare(Path(sys.argv[1]), Path(sys.argv[2]))

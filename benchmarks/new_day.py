"""What a new day costs beside the full build, and the rows its SQL scans, over three lengths of history.

Cost is counted for the whole run through Dagster, retraining left out, since a policy decides on that.
"""

import json
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from assets.dbt_runner import DbtRunner
from benchmarks.built import project
from benchmarks.measure import run, show
from headwater.nycflights import land
from ml.lake.workshop import Workshop
from ml.settings import Settings

HISTORIES = (date(2013, 3, 31), date(2013, 6, 30), date(2013, 9, 30))


def main() -> None:
    """Build each history, then its next day, and print cost and rows scanned."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for until in HISTORIES:
            settings = project(Path(folder) / f"until-{until}", "home")
            land(settings.landing, None, until)
            full = run("benchmarks.overhead", "graph", settings=settings).cpu_s
            full_proofs = proofs(settings)
            land(settings.landing, None, until + timedelta(days=1))
            run("benchmarks.overhead", "day", settings=settings)
            day = steps(settings)
            table.append(
                {
                    "history": f"{(until - date(2013, 1, 1)).days + 1} days",
                    "full build, CPU s": full,
                    "of it, proofs": full_proofs,
                    "new day, CPU s": day,
                    "of it, proofs ": proofs(settings),
                    "ratio": day / full,
                    "without proofs": (day - proofs(settings)) / (full - full_proofs),
                    "rows the day's SQL scans": scanned(settings, until + timedelta(days=1)),
                }
            )
    show("new day", table)


def steps(settings: Settings) -> float:
    """CPU seconds of the last run, from loading the graph on."""
    told = json.loads((settings.home / "steps.json").read_text())
    return float(sum(step["CPU s"] for step in told))


def proofs(settings: Settings) -> float:
    """CPU seconds of the last run that went into proving tables."""
    return float(json.loads((settings.home / "proofs.json").read_text())[0])


def scanned(settings: Settings, day: date) -> int:
    """Rows that the compiled SQL of the daily tables that are built reads from storage for one day."""
    runner = DbtRunner(settings)
    with Workshop(settings).turn() as turn:
        nodes = runner.compiled("config.materialized:incremental", start_day=str(day), end_day=str(day))
        with turn.connect() as con:
            tables = "select schema_name, table_name from duckdb_tables()"
            built = set(con.execute(tables).fetchall())
            return sum(
                _rows_scanned(con, node.compiled_code) for node in nodes if (node.schema, node.alias) in built
            )


def _rows_scanned(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    told = con.execute(f"explain (analyze, format json) {sql}").fetchall()[0][1]
    return _sum(json.loads(told))


def _sum(node: dict[str, Any]) -> int:
    own = int(node.get("operator_rows_scanned", 0))
    return own + sum(_sum(child) for child in node.get("children", []))

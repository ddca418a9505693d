"""The same point-in-time features by the platform, Feast, pandas and Polars: the same rows, in one run.

How each is asked is `contenders.py`'s; what is asked is `lookups.py`'s. The other tools are installed in an
environment of their own, since nothing of the platform needs them.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import duckdb

from assets.dbt_runner import DbtRunner
from benchmarks.built import FIRST, UNTIL, nine_months
from benchmarks.contenders import CONTENDERS, WANTED
from benchmarks.lookups import LOOKUPS, QUESTIONS, platform_sql
from benchmarks.measure import show
from ml.lake.workshop import Workshop
from ml.settings import Settings

ROUNDS = 2
HERE = Path(__file__).parent
LABELS = {
    "platform": "platform: compiled `as_of`, tables in memory",
    "workshop": "platform: compiled `as_of`, the workshop's file",
    "feast": "Feast: `get_historical_features`, DuckDB offline store",
    "pandas": "pandas: `merge_asof`",
    "polars": "Polars: `join_asof`",
}


def main() -> None:
    """Build the platform's tables, let each contender answer in turn, compare, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        settings, runner = nine_months(Path(folder))
        place = Path(folder) / "inputs"
        place.mkdir()
        n_questions = hand_out(settings, runner, place)
        python = installed(Path(folder) / "env")
        spent: dict[str, list[dict[str, Sequence[float]]]] = {name: [] for name in CONTENDERS}
        for _ in range(ROUNDS):
            for name in CONTENDERS:
                spent[name] += ask(python, name, place)
        differing = {name: differences(place, name) for name in CONTENDERS}
    rows = [_row(name, times, spent["platform"], differing[name]) for name, times in spent.items()]
    show(f"features: {n_questions:,} questions, {len(LOOKUPS)} lookups, median of {ROUNDS} processes", rows)


def hand_out(settings: Settings, runner: DbtRunner, folder: Path) -> int:
    """Write what the contenders read into `folder`: compiled SQL, the workshop, its tables as Parquet."""
    with Workshop(settings).turn() as turn:
        sql = runner.compiled_text(platform_sql(), start_day=str(FIRST), end_day=str(UNTIL))
        (folder / "platform.sql").write_text(sql)
        with turn.connect() as con:
            for schema, table in (("features", QUESTIONS), *(("intermediate", one.table) for one in LOOKUPS)):
                con.execute(f"copy {schema}.{table} to '{folder / table}.parquet'")
            for one in LOOKUPS:
                named = {one.key: one.table_key, **one.columns}
                columns = ", ".join(f"{column} as {name}" for name, column in named.items())
                rows = f"select known_at, {columns} from intermediate.{one.table}"
                con.execute(f"copy ({rows}) to '{folder}/feast_{one.table}.parquet'")
            con.execute("checkpoint")
        (folder / "workshop.duckdb").hardlink_to(settings.home / "workshop.duckdb")
    return int(duckdb.sql(f"select count(*) from '{folder / QUESTIONS}.parquet'").fetchall()[0][0])


def installed(environment: Path) -> Path:
    """Python of an environment with the locked versions of the other tools."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    install: list[str | Path] = ["pip", "install", "--quiet", "--python", python, "--require-hashes"]
    subprocess.run([uv, *install, "-r", HERE / "requirements.lock"], check=True)
    return python


def ask(python: Path, name: str, folder: Path) -> list[dict[str, Sequence[float]]]:
    """Run a contender in a process of its own; CPU and wall seconds of each repeat, to load and to join."""
    command: list[str | Path] = [python, "-m", "benchmarks.contenders", name, folder]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-4000:]}")
    told: list[dict[str, Sequence[float]]] = json.loads(done.stdout.splitlines()[-1])
    return told


def differences(folder: Path, name: str) -> int:
    """Values that differ from the platform's, and rows that only one of them has."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"create view ours as from '{folder}/answers_platform.parquet'")
        con.execute(f"create view theirs as from '{folder}/answers_{name}.parquet'")
        types = {row[0]: row[1] for row in con.execute("describe ours").fetchall()}
        # pandas has no null among numbers: NaN stands for it, and makes floats of integers.
        told = {row[0]: row[1] for row in con.execute("describe theirs").fetchall()}
        values = {
            column: f"nullif(theirs.{column}, 'nan')" if told[column] == "DOUBLE" else f"theirs.{column}"
            for column in WANTED
        }
        counted = " + ".join(
            f"count(*) filter (ours.{column} is distinct from cast({values[column]} as {types[column]}))"
            for column in WANTED
        )
        found = con.execute(f"select {counted} from ours full join theirs using (flight_id)").fetchall()
    return int(found[0][0])


def _row(
    name: str,
    spent: Sequence[Mapping[str, Sequence[float]]],
    platform: Sequence[Mapping[str, Sequence[float]]],
    differing: int,
) -> dict[str, object]:
    load, join = (median(one[part][0] for one in spent) for part in ("load", "join"))
    ours = median(one["load"][0] + one["join"][0] for one in platform)
    return {
        "": LABELS[name],
        "load, CPU s": load,
        "join, CPU s": join,
        "join, wall s": median(one["join"][1] for one in spent),
        "load and join, CPU s beside the platform's": (load + join) / ours,
        "join alone": join / median(one["join"][0] for one in platform),
        "values that differ": differing,
    }

"""What the platform costs beside the bare libraries: the whole graph over nine months, and a plain script.

Both read the same files, run the same compiled SQL and data tests and train with the same parameters, in
turn in one run. The graph also keeps copies of the files, publishes to Iceberg, draws the report, writes
Dagster's events and builds the Bento. What is done once for a project stands in a row of its own, and so does
what proves the tables: the leakage audit, the SQL linter and the unit tests, which the script does not have.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from assets.components import dbt_events
from assets.dbt_runner import DbtRunner, NodeResult
from assets.table_code import project_code
from benchmarks.built import FIRST, UNTIL, project
from benchmarks.measure import Cost, middle, run, show
from headwater.instance import make_instance
from headwater.nycflights import land
from ml.arrivals import due_segments
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources.catalogue import declared_sources

ROUNDS = 3
MODEL = "late_arrival"


def main() -> None:
    """Measure in turn, graph and script, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        settings = project(Path(folder), "plan")
        land(settings.landing, None, UNTIL)
        plan = Path(folder) / "plan.json"
        plan.write_text(json.dumps(compiled(settings)))
        setup, graph, proofs, script = [], [], [], []
        for n in range(ROUNDS):
            own = project(Path(folder), f"round{n}")
            place = Path(folder) / f"plain{n}"
            place.mkdir()
            setup.append(run("benchmarks.overhead", "setup", settings=own))
            graph.append(run("benchmarks.overhead", "graph", settings=own))
            proof_cpu_s, proof_wall_s = json.loads((own.home / "proofs.json").read_text())
            proofs.append(Cost(proof_cpu_s, proof_wall_s, 0.0))
            script.append(run("benchmarks.plain", str(plan), str(place / "workshop.duckdb"), settings=own))
        steps = json.loads((own.home / "steps.json").read_text())
    bare = [
        Cost(one.cpu_s - proof.cpu_s, one.wall_s - proof.wall_s, one.peak_mb)
        for one, proof in zip(graph, proofs, strict=True)
    ]
    rows = [
        _row("whole graph through Dagster", middle(graph)),
        _row("of it, proofs of the tables", middle(proofs)) | {"peak MB": ""},
        _row("plain script", middle(script)),
        _ratios("ratio of the whole", graph, script),
        _ratios("ratio without the proofs", bare, script),
    ]
    once = _row("once for a project: Dagster instance, first dbt parse", middle(setup))
    show(f"overhead: nine months, median of {ROUNDS}", [*rows, once])
    show("where the graph's seconds go, last round", steps)


def prepare() -> None:
    """What is done once for a project, before its first run."""
    settings = Settings.from_env()
    make_instance(settings)
    project_code(DbtRunner(settings))


def day() -> None:
    """As `graph`, in a process that has imported the libraries, as the code server's runs have."""
    import_module("headwater.preloaded")
    graph()


def graph() -> None:
    """The measured process: the asset graph loaded, and one run of it."""
    settings = Settings.from_env()
    make_instance(settings)
    steps = _Steps()
    (segment,) = due_segments(settings, project_code(DbtRunner(settings)).tables.values)
    from headwater.run import Graph, Told

    loaded = Graph()
    steps.add("load the graph")
    proofs = _Proofs()
    loaded.run(segment, Told(steps.add, lambda *_: None, lambda _: None))
    steps.add("end the run")
    (settings.home / "steps.json").write_text(json.dumps(steps.rows))
    (settings.home / "proofs.json").write_text(json.dumps([proofs.cpu_s, proofs.wall_s]))


class _Steps:
    """What each step took since the one before it ended."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self._since = time.monotonic(), sum(os.times()[:4])

    def add(self, step: str, _seconds: float = 0) -> None:
        now = time.monotonic(), sum(os.times()[:4])
        wall, cpu = (after - before for after, before in zip(now, self._since, strict=True))
        self.rows.append({"step": step, "CPU s": cpu, "wall s": wall})
        self._since = now


class _Proofs:
    """CPU and wall seconds of what proves the tables, in this process, from now on.

    A unit test runs within dbt's build, which tells its wall seconds; it is one thread's work.
    """

    def __init__(self) -> None:
        self.cpu_s = self.wall_s = 0.0
        for name in ("leakage_results", "sql_results"):
            setattr(dbt_events, name, self._counted(getattr(dbt_events, name)))
        DbtRunner.build = self._with_unit_tests(DbtRunner.build)  # type: ignore[method-assign]

    def _counted(self, proof: Callable[..., Iterator[NodeResult]]) -> Callable[..., list[NodeResult]]:
        def counted(*args: Any) -> list[NodeResult]:
            began = time.monotonic(), sum(os.times()[:4])
            results = list(proof(*args))
            self.wall_s += time.monotonic() - began[0]
            self.cpu_s += sum(os.times()[:4]) - began[1]
            return results

        return counted

    def _with_unit_tests(
        self, build: Callable[..., Iterator[NodeResult]]
    ) -> Callable[..., Iterator[NodeResult]]:
        def built(*args: Any, **kwargs: Any) -> Iterator[NodeResult]:
            for result in build(*args, **kwargs):
                seconds = result.seconds if result.unique_id.startswith("unit_test.") else 0.0
                self.wall_s, self.cpu_s = self.wall_s + seconds, self.cpu_s + seconds
                yield result

        return built


def compiled(settings: Settings) -> dict[str, Any]:
    """The SQL of every table and data test behind the model, in order, and what to train."""
    runner = DbtRunner(settings)
    window = {"start_day": FIRST.isoformat(), "end_day": UNTIL.isoformat()}
    declared = yaml.safe_load((settings.project / f"assets/defs/{MODEL}/defs.yaml").read_text())["attributes"]
    behind = [f"+{declared[part]['table']}" for part in ("features", "label")]
    with Workshop(settings).turn():
        nodes = runner.compiled(*behind, "--indirect-selection", "cautious", **window)
    tables = [_table(node) for node in nodes if node.resource_type == "model"]
    tests = [node.compiled_code for node in nodes if node.resource_type == "test"]
    schemas = {table["name"]: table["schema"] for table in tables}
    sources = [one for one in declared_sources(settings.project) if (settings.landing / one.name).exists()]
    model = {
        "key": f"{declared['entity']}_id",
        "columns": declared["features"]["columns"],
        "features": f"{schemas[declared['features']['table']]}.{declared['features']['table']}",
        "labels": f"{schemas[declared['label']['table']]}.{declared['label']['table']}",
        "label": declared["label"],
        "holdout_days": declared["split"]["holdout_days"],
        "seed": declared["engine"]["seed"],
        "parameters": declared["engine"]["parameters"],
    }
    in_order = [one.name for one in sorted(sources, key=lambda one: len(one.lookups))]
    return {"sources": in_order, "tables": tables, "tests": tests, "model": model}


def _table(node: Any) -> dict[str, str]:
    kind = "view" if node.config.materialized == "view" else "table"
    return {"schema": node.schema, "name": node.name, "kind": kind, "sql": node.compiled_code}


def _ratios(name: str, ours: Sequence[Cost], script: Sequence[Cost]) -> dict[str, object]:
    row: dict[str, object] = {"": name}
    for title, figure in (("CPU s", "cpu_s"), ("wall s", "wall_s"), ("peak MB", "peak_mb")):
        pairs = sorted(getattr(a, figure) / getattr(b, figure) for a, b in zip(ours, script, strict=True))
        row[title] = f"{pairs[len(pairs) // 2]:.2f} ({pairs[0]:.2f} to {pairs[-1]:.2f})"
    return row


def _row(name: str, cost: Cost) -> dict[str, object]:
    return {"": name, "CPU s": cost.cpu_s, "wall s": cost.wall_s, "peak MB": cost.peak_mb}


if __name__ == "__main__":
    {"setup": prepare, "graph": graph, "day": day}[sys.argv[1]]()

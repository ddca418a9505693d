"""`serving`: requests a second, latency and CPU of the endpoint and of others, by size of model and request.

All servers of a size are up at once and asked in turn, so that noise hits all alike; figures are medians of
the rounds.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import show
from benchmarks.serving.contenders import CONTENDERS, MLSERVER, OTHERS, OURS, Running, Started, free_port
from benchmarks.serving.world import Model, built, model
from ml.settings import Settings

HERE = Path(__file__).parent
ROUNDS, SECONDS = 3, 1.0
Cell = tuple[int, int]  # connections, rows
ALONE, THOUSAND = "LightGBM alone", (1, 1000)
FIGURES = ("per_second", "p50_ms", "p99_ms", "cpu_us")
GOALS: Sequence[Cell] = ((1, 1), (8, 1), (64, 1), (1, 1000))
ALL: Sequence[Cell] = tuple(product((1, 8, 64), (1, 100, 1000)))
Given = tuple[Path, Settings, dict[str, Path]]  # a folder, the project, the Pythons by environment
Figures = dict[tuple[str, Cell], dict[str, float]]


def main() -> None:
    """160 trees and one worker, the cells that the goals are about."""
    _measure([(160, 1)], GOALS)


def everything() -> None:
    """160 and 600 trees, one worker and two, 1, 8 and 64 connections, 1, 100 and 1,000 rows."""
    _measure([(160, 1), (160, 2), (600, 1), (600, 2)], ALL)


def _measure(sizes: Sequence[tuple[int, int]], cells: Sequence[Cell]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pythons = {OURS: Path(sys.executable)}
        pythons |= {env: _installed(Path(folder) / env, env) for env in (OTHERS, MLSERVER)}
        settings = built(Path(folder) / "project")
        models: dict[int, Model] = {}
        for n_trees, workers in sizes:
            if n_trees not in models:
                models[n_trees] = model(settings, n_trees)
            one, own = models[n_trees], Path(tempfile.mkdtemp(dir=folder))
            figures = _asked(one, (own, settings, pythons), workers, cells)
            many = "worker" if workers == 1 else "workers"
            show(f"serving: {n_trees} trees, {workers} {many}, median of {ROUNDS}", _rows(figures, cells))
            if workers == 1:
                show(f"serving: goals at {n_trees} trees", _goals(figures))


def _installed(environment: Path, name: str) -> Path:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    install: list[str | Path] = ["pip", "install", "--quiet", "--python", python, "--require-hashes"]
    subprocess.run([uv, *install, "-r", HERE / f"{name}.lock"], check=True)
    return python


def _asked(one: Model, given: Given, workers: int, cells: Sequence[Cell]) -> Figures:
    folder, settings, pythons = given
    servers: list[Running] = []
    try:
        for n, contender in enumerate(CONTENDERS):
            own = folder / str(n)
            own.mkdir()
            servers.append(Running(contender, Started(one, settings, free_port(), workers, own, pythons)))
        found: dict[tuple[str, Cell], list[dict[str, Any]]] = {}
        for cell, _ in product(cells, range(ROUNDS)):
            for server in servers:
                found.setdefault((server.contender.name, cell), []).append(server.ask(*cell, SECONDS))
            if cell == THOUSAND:
                alone = {**dict.fromkeys(FIGURES, 0.0), "p50_ms": one.alone_ms()}
                found.setdefault((ALONE, cell), []).append(alone)
    finally:
        for server in servers:
            server.stop()
    return {
        key: {name: median(one[name] for one in rounds) for name in FIGURES} for key, rounds in found.items()
    }


def _rows(figures: Figures, cells: Sequence[Cell]) -> list[dict[str, object]]:
    return [
        {
            "connections": cell[0],
            "rows": cell[1],
            "server": contender.name,
            "requests a second": round(told["per_second"], 1),
            "p50 ms": told["p50_ms"],
            "p99 ms": told["p99_ms"],
            "server CPU, µs a request": round(told["cpu_us"]),
        }
        for cell in cells
        for contender in CONTENDERS
        for told in [figures[contender.name, cell]]
    ]


def _goals(figures: Figures) -> list[dict[str, object]]:
    """The goals, computed."""
    echo, ours, given = (
        figures[name, (8, 1)] for name in ("bare ASGI echo", "headwater /score", "headwater /predict")
    )
    bento, unlogged = (
        figures["BentoML as documented", (8, 1)],
        figures["headwater /score, not logged", (8, 1)],
    )
    others = {c.name: figures[c.name, (8, 1)]["per_second"] for c in CONTENDERS if c.env != OURS}
    fastest = max(others, key=lambda name: others[name])
    thousand, as_arrow = (
        figures[name, THOUSAND]["p50_ms"] for name in ("headwater /score", "headwater /score, Arrow")
    )
    alone_ms = figures[ALONE, THOUSAND]["p50_ms"]
    own = f"LightGBM's own {alone_ms:.1f} ms"
    told = [
        ("/score, beside the echo's requests a second", ours["per_second"] / echo["per_second"], ">=", 0.5),
        ("/score, beside BentoML as documented", ours["per_second"] / bento["per_second"], ">=", 100.0),
        (
            "/score, what the log takes of its requests",
            1 - ours["per_second"] / unlogged["per_second"],
            "<=",
            0.05,
        ),
        ("/score, p99 at 8 connections, ms", ours["p99_ms"], "<", 2.0),
        (f"/score of 1,000 rows as Arrow, beside {own}", as_arrow / alone_ms, "<=", 1.2),
        (f"/score of 1,000 rows as JSON, beside {own}", thousand / alone_ms, "<=", 1.2),
        (f"/predict, beside the fastest peer ({fastest})", given["per_second"] / others[fastest], ">=", 10.0),
    ]
    return [
        {
            "goal": what,
            "found": found,
            "wanted": f"{sign} {wanted:g}",
            "met": "yes" if _met(found, sign, wanted) else "no",
        }
        for what, found, sign, wanted in told
    ]


def _met(found: float, sign: str, wanted: float) -> bool:
    return found >= wanted if sign == ">=" else found <= wanted if sign == "<=" else found < wanted

"""Run as a module: loads bundles one after the other and times single rows in turn; a process of its own.

Arguments: a folder with `rows.npz` and the bundles' folders by name. Prints JSON, by name: memory in MB,
seconds at the 99th of 100 rows, and the scores.
"""

import gc
import json
import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from ml.bundle import load
from ml.row_scoring import RowScorer
from ml.verification import read

ROUNDS, MORE_ROUNDS = 5, 15
_LOOK_AGAIN = 1.4  # times the first model's: what is noise goes away with more rounds


def probe(folder: Path, names: list[str]) -> dict[str, Any]:
    """Each row is scored alone, by all models in turn; of a row's times the least counts."""
    process, rows = psutil.Process(), np.load(folder / "rows.npz")
    read(load(folder / names[0]))  # so that the libraries' own memory is nobody's
    gc.collect()
    scorers, told = {}, {}  # type: dict[str, RowScorer], dict[str, Any]
    for name in names:
        before = process.memory_info().rss
        bundle = load(folder / name)
        scorers[name] = RowScorer(read(bundle))
        scorers[name].score(rows[name][:1])
        told[name] = {"memory_mb": max(0, process.memory_info().rss - before) / 2**20}
    times = {name: np.full(len(rows[name]), np.inf) for name in names}
    for n in range(ROUNDS + MORE_ROUNDS):
        slowest = {name: np.quantile(of, 0.99) for name, of in times.items()}
        if n >= ROUNDS and max(slowest.values()) <= _LOOK_AGAIN * slowest[names[0]]:
            break
        for name in names:
            _time(scorers[name], rows[name], times[name])
    for name in names:
        scores = np.concatenate([scorers[name].score(rows[name][n : n + 1]) for n in range(len(rows[name]))])
        told[name] |= {
            "p99_ms": float(np.quantile(times[name], 0.99)) / 1e6,
            "median_ms": float(np.median(times[name])) / 1e6,
            "scores": [None if not np.isfinite(one).all() else one for one in scores.tolist()],
        }
    return told


def _time(scorer: RowScorer, rows: NDArray[np.float64], least: NDArray[np.float64]) -> None:
    given = rows.tolist()
    for n, row in enumerate(given):
        began = perf_counter_ns()
        scorer.score_one(row)
        took = perf_counter_ns() - began
        least[n] = min(least[n], took)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe(Path(sys.argv[1]), sys.argv[2:])))

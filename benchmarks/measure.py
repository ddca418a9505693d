"""Runs whole processes, counts their CPU seconds and wall seconds, and prints tables.

What is measured is each benchmark's own.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from headwater.instance import environment
from ml.settings import Settings


@dataclass(frozen=True)
class Cost:
    """What a process and those below it took: CPU and wall seconds, peak resident MB of one."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def run(module: str, *args: str, settings: Settings) -> Cost:
    """Run `python -m module args…` to its end. Raises CalledProcessError with its output when it fails."""
    env = {**os.environ, **environment(settings)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        env=env,
        cwd=settings.project,
        capture_output=True,
        text=True,
        check=False,
    )
    wall_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(args)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu_s, wall_s, after.ru_maxrss / 1024)


def middle(costs: Sequence[Cost]) -> Cost:
    """Median of each figure."""
    return Cost(
        median(c.cpu_s for c in costs), median(c.wall_s for c in costs), median(c.peak_mb for c in costs)
    )


def show(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print a Markdown table; the first row's keys are its header."""
    print(f"\n### {title}\n")
    names = list(rows[0])
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(_text(row[name]) for name in names) + " |")


def _text(value: object) -> str:
    return (
        f"{value:,.2f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )

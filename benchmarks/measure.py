"""Runs whole processes, counts their CPU seconds and wall seconds, and prints tables.

What is measured is each benchmark's own.
"""

import os
import subprocess
import sys
import tempfile
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
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as told:
        command = [sys.executable, "-m", module, *args]
        process = subprocess.Popen(
            command, env=env, cwd=settings.project, stdout=told, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        wall_s, process.returncode = time.monotonic() - began, os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise SystemExit(f"{module} {' '.join(args)} failed:\n{told.read()[-8000:]}")
    return Cost(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / 1024)


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

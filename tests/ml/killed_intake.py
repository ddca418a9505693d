"""Run as a process of its own: takes in what has landed and kills itself at a given point.

`python -m tests.ml.killed_intake <home> <landing> <point>`
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import kept, raw, take_in, taking
from tests.ml.readings import declared

POINTS = ("rows inserted", "first copy kept", "all copies kept", "committed", "never")


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _then_die(what: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: (what(*args, **kwargs), _die())


def main(home: str, landing: str, point: str) -> None:
    """Take in every landed file, or die on the way."""
    match point:
        case "rows inserted":
            kept.keep = _die
        case "first copy kept":
            kept.keep = _then_die(kept.keep)
        case "all copies kept":
            raw.record = _then_die(raw.record)
        case "committed":
            taking.remember = _die
    settings = replace(Settings.from_env(), home=Path(home), landing=Path(landing))
    files = sorted((settings.landing / "readings").glob("*.csv"))
    print("started", flush=True)  # noqa: T201
    take_in(Workshop(settings), settings, declared(), files)


if __name__ == "__main__":
    main(*sys.argv[1:])

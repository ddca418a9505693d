"""Compacts a log in a process of its own: `python -m ml.prediction_log FOLDER` prints as JSON what it did."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from ml.lean_import import without


def _step_aside() -> None:
    """Run only when nobody else would: to be nice still costs answers a millisecond now and then."""
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    _step_aside()
    with without("pandas"):  # which PyArrow would load where it is installed, for nothing
        from ml.prediction_log.compaction import compact

        sys.stdout.buffer.write(msgspec.json.encode(compact(Path(sys.argv[1]))) + b"\n")

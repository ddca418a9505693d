"""Compacts a log in a process of its own: `python -m ml.prediction_log FOLDER` prints as JSON what it did."""

import sys
from pathlib import Path

import msgspec

from ml.prediction_log.compaction import compact

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(compact(Path(sys.argv[1]))) + b"\n")

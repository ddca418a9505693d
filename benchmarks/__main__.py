"""`make bench`: run all benchmarks but the longest, or those named, and print their tables."""

import sys

from benchmarks import (
    accuracy,
    batch,
    drift,
    features,
    hundred_million,
    lookups_online,
    new_day,
    overhead,
    scale,
    training,
    units,
)
from benchmarks.serving import report

BENCHMARKS = {
    "accuracy": accuracy.main,
    "overhead": overhead.main,
    "new_day": new_day.main,
    "features": features.main,
    "serving": report.main,
    "batch": batch.main,
    "drift": drift.main,
    "lookups_online": lookups_online.main,
    "scale": scale.main,
    "training": training.main,
    "units": units.main,
}
# An hour and 30 GB, some minutes and 6 GB, half an hour: only when named.
LONG = {
    "hundred_million": hundred_million.main,
    "ten_million_trained": training.ten_million,
    "serving_everything": report.everything,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        (BENCHMARKS | LONG)[name]()

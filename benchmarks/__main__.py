"""`make bench`: run all benchmarks but the longest, or those named, and print their tables."""

import sys

from benchmarks import accuracy, features, hundred_million, new_day, overhead, scale, training, units

BENCHMARKS = {
    "accuracy": accuracy.main,
    "overhead": overhead.main,
    "new_day": new_day.main,
    "features": features.main,
    "scale": scale.main,
    "training": training.main,
    "units": units.main,
}
# An hour and 30 GB, and some minutes and 6 GB: only when named.
LONG = {"hundred_million": hundred_million.main, "ten_million_trained": training.ten_million}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        (BENCHMARKS | LONG)[name]()

"""`make bench`: run all benchmarks but the longest, or those named, and print their tables."""

import sys

from benchmarks import accuracy, features, hundred_million, new_day, overhead, scale, units

BENCHMARKS = {
    "accuracy": accuracy.main,
    "overhead": overhead.main,
    "new_day": new_day.main,
    "features": features.main,
    "scale": scale.main,
    "units": units.main,
}
LONG = {"hundred_million": hundred_million.main}  # an hour and 30 GB: only when named

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        (BENCHMARKS | LONG)[name]()

"""`make bench`: run all benchmarks but the longest, or those named, and print their tables."""

import sys

from benchmarks import accuracy, features, new_day, overhead

BENCHMARKS = {
    "accuracy": accuracy.main,
    "overhead": overhead.main,
    "new_day": new_day.main,
    "features": features.main,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()

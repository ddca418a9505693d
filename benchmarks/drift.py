"""Fingerprints of 10 million rows of 200 columns, beside what bare libraries take for the same counts.

The columns are like those of features: real numbers, whole numbers, shares with many zeros, a tenth missing,
and categories. Bins are set from a sample, as from training rows; DuckDB holds the rows in a file.
"""

import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.measure import show
from ml.drift.bins import Bins, number_bins
from ml.drift.fingerprint import merged
from ml.drift.measures import jensen_shannon, psi
from ml.drift.taking import take

ROWS, NUMBERS, CATEGORIES, DAYS = 10_000_000, 160, 40, 10
_PEER_COLUMNS = 5


def main() -> None:
    """In one pass by day; then a month as the sum of its days, and PSI of all columns."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(Path(folder) / "rows.duckdb")) as con:
        _make(con)
        bins = _bins(con)
        began, cpu = time.monotonic(), time.process_time()
        by_day = take(con, "rows", bins, "day")
        wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
        whole = merged(bins, by_day.values())
        assert whole.n_rows == ROWS
        began = time.monotonic()
        then, now = by_day[0], whole
        for one, other in zip(then.columns, now.columns, strict=True):
            assert psi(np.array(one.counts), np.array(other.counts)) < 0.01
            assert jensen_shannon(np.array(one.counts), np.array(other.counts)) < 0.1
        compared_s = time.monotonic() - began
        peers = _numpy_s(con, bins)
    values = ROWS * (NUMBERS + CATEGORIES)
    show(
        f"drift: {ROWS:,} rows, {NUMBERS} numbers and {CATEGORIES} categories, by day",
        [
            {
                "": "fingerprints by SQL",
                "wall s": wall_s,
                "CPU s": cpu_s,
                "CPU ns a value": 1e9 * cpu_s / values,
            },
            {
                "": f"numpy's histogram of the numbers (from {_PEER_COLUMNS} columns)",
                "wall s": peers,
                "CPU s": peers,
                "CPU ns a value": 1e9 * peers / (ROWS * NUMBERS),
            },
            {"": "PSI and distance of all columns", "wall s": compared_s, "CPU s": "", "CPU ns a value": ""},
        ],
    )


def _make(con: duckdb.DuckDBPyConnection) -> None:
    kinds = (
        "case when random() < 0.9 then round(random() * 100, 2) end",
        "cast(floor(random() * random() * 500) as integer)",
        "case when random() < 0.5 then 0.0 else random() end",
        "round(sqrt(-2 * ln(random() + 1e-12)) * cos(6.2831853 * random()) * 20, 1)",
    )
    columns = [f"{kinds[n % len(kinds)]} as n{n}" for n in range(NUMBERS)]
    columns += [
        f"'k' || cast(floor(random() * {3 + 7 * (n % 8)}) as integer) as c{n}" for n in range(CATEGORIES)
    ]
    con.execute("select setseed(0.5)")
    con.execute(
        f"create table rows as select cast(i % {DAYS} as integer) as day, {', '.join(columns)} "
        f"from range({ROWS}) as numbers(i)"
    )
    con.execute("checkpoint")


def _bins(con: duckdb.DuckDBPyConnection) -> tuple[Bins, ...]:
    sample: pa.Table = con.execute("select * from rows limit 100000").to_arrow_table()
    numbers = [
        number_bins(f"n{n}", sample[f"n{n}"].cast(pa.float64()).to_numpy(zero_copy_only=False))
        for n in range(NUMBERS)
    ]
    texts = [
        Bins(f"c{n}", categories=tuple(sorted(set(sample[f"c{n}"].to_pylist())))) for n in range(CATEGORIES)
    ]
    return (*numbers, *texts)


def _numpy_s(con: duckdb.DuckDBPyConnection, bins: tuple[Bins, ...]) -> float:
    """What numpy takes for the same edges over numbers that are in memory already, for as many columns."""
    took = 0.0
    for one in bins[:_PEER_COLUMNS]:
        column = con.execute(f"select cast({one.name} as double) as v from rows").to_arrow_table()["v"]
        values = column.to_numpy(zero_copy_only=False)
        began = time.process_time()
        np.histogram(values[~np.isnan(values)], bins=[-np.inf, *one.edges, np.inf])
        took += time.process_time() - began
    return took * NUMBERS / _PEER_COLUMNS

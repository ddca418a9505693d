"""What the tests of the lake run in other processes: writers, readers, one that does not let go."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from datetime import date, timedelta
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ml.lake import editions, writing
from ml.lake.published import PublishBatch, Published
from ml.lake.workshop import Workshop
from ml.settings import Settings

FIRST = date(2024, 5, 1)
N_DAYS, N_ROWS = 6, 40
TABLES = ("features", "labels")


def processes() -> ForkServerContext:
    """Processes that start fast: what costs seconds to import is imported once, in their common parent."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pyiceberg.catalog.sql", "pyiceberg.io.pyarrow", __name__])
    return context


def run_all(
    work: list[tuple[Callable[..., None], tuple[Any, ...]]], timeout_s: float = 50
) -> list[int | None]:
    """Run every (function, arguments) in a process of its own, at once; their exit codes."""
    context = processes()
    started: list[BaseProcess] = [context.Process(target=what, args=args) for what, args in work]
    until = time.monotonic() + timeout_s
    for process in started:
        process.start()
    for process in started:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
    return [process.exitcode for process in started]


def count_up(settings: Settings, times: int) -> None:
    """Take a turn `times` times and add one to the number in the workshop."""
    for _ in range(times):
        workshop = Workshop(settings)
        with workshop.turn(60), workshop.connect() as con:
            con.execute("create table if not exists counter as select 0 as n")
            row = con.execute("select n from counter").fetchone()
            con.execute("update counter set n = ?", [(row or (0,))[0] + 1])


def hold(settings: Settings, ready: Path) -> None:
    """Take the turn, say so, and keep it until killed."""
    with Workshop(settings).turn(60) as workshop:
        workshop.connect().execute("create or replace table held as select 1 as n")
        ready.touch()
        signal.pause()


def open_without_turn(settings: Settings, ready: Path) -> None:
    """Open the workshop's file as a stranger would."""
    with duckdb.connect(settings.home / "workshop.duckdb"):
        ready.touch()
        signal.pause()


def batches(stamp: int, first: int = 0, n_days: int = N_DAYS) -> dict[str, PublishBatch]:
    """Both tables for some days, every row with the same stamp."""
    days = [FIRST + timedelta(days=first + i) for i in range(n_days)]
    rows = pa.table(
        {
            "day": pa.array([day for day in days for _ in range(N_ROWS)], pa.date32()),
            "id": list(range(N_ROWS)) * n_days,
            "stamp": [stamp] * N_ROWS * n_days,
        }
    )
    return {name: PublishBatch(rows, days[0], days[-1]) for name in TABLES}


def publish(settings: Settings, number: int, times: int) -> None:
    """Publish windows of two days, at different places and with stamps of its own."""
    published = Published(settings)
    for i in range(times):
        published.publish(batches(number * 1000 + i, (number + i) % (N_DAYS - 1), 2), wait_s=60)


def read(settings: Settings, done: Path) -> None:
    """Read until `done` is there; fails on anything torn: within a day, or between the two tables."""
    published, n_read, last = Published(settings), 0, 0
    while not done.exists() or n_read == 0:
        edition = published.edition()
        assert edition.id >= last
        last = edition.id
        seen = [_stamps(published.read(name, edition=edition)) for name in TABLES]
        assert seen[0] == seen[1], (edition, seen)
        assert len(seen[0]) == N_DAYS
        n_read += 1
        time.sleep(0.1)


def _stamps(rows: pa.Table) -> dict[date, int]:
    counted = rows.group_by(["day", "stamp"]).aggregate([("id", "count")]).to_pylist()
    assert all(group["id_count"] == N_ROWS for group in counted), counted
    assert len({group["day"] for group in counted}) == len(counted), counted
    return {group["day"]: group["stamp"] for group in counted}


def publish_and_die(settings: Settings, point: str) -> None:
    """Kill itself after the first table's commit, after both, or while a file is written."""
    commits = iter(range(100))
    replace_days, data_file = writing.replace_days, writing._data_file

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def counted(*args: Any) -> int:
        snapshot = replace_days(*args)
        if point == "one table" and next(commits) == 0:
            die()
        return snapshot

    from ml.lake import published as module

    module.replace_days = counted
    if point == "file":
        writing._data_file = lambda *args: (die(), data_file(*args))[1]
    if point == "edition":
        editions.Editions.add = lambda *_: die()  # type: ignore[assignment, method-assign, return-value]
    Published(settings).publish(batches(13))

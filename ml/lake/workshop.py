"""The workshop: the one DuckDB file where raw rows are taken in and dbt works.

What is written into it does not belong here, nor does anything readers of published tables need.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from ml.errors import OutsideTurn, WorkshopLocked, WorkshopUnreadable
from ml.lake.turn import is_held, turn
from ml.settings import Settings

_SESSION = (
    "set TimeZone = 'UTC'",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
)
_open: dict[Path, list[duckdb.DuckDBPyConnection]] = {}  # handed out during the turn that is on


class Workshop:
    """One writer at a time: `with workshop.turn(): workshop.connect()`.

    A DuckDB file written by one process cannot be opened by another, not even to read, so every process
    queues for a turn. The turn is re-entrant within a thread: dbt may run, in process, inside one.
    """

    def __init__(self, settings: Settings) -> None:
        self.file = settings.home / "workshop.duckdb"
        self._lock = settings.home / "workshop.lock"

    @contextlib.contextmanager
    def turn(self, wait_s: float = 600) -> Iterator["Workshop"]:
        """Hold the writer's turn inside the block; connections left open are closed at its end.

        Raises TurnNotGranted, which names the holder, after `wait_s` seconds.
        """
        with turn(self._lock, wait_s) as outermost:
            try:
                yield self
            finally:
                if outermost:
                    for connection in _open.pop(self.file, []):
                        connection.close()

    def connect(self, wait_s: float = 10) -> duckdb.DuckDBPyConnection:
        """Open the file for reading and writing, session in UTC.

        Raises OutsideTurn without a turn, WorkshopLocked when a process that does not queue keeps it open,
        WorkshopUnreadable when DuckDB cannot read it.
        """
        if not is_held(self._lock):
            raise OutsideTurn(self.file)
        connection = self._connect(wait_s)
        for setting in _SESSION:
            connection.execute(setting)
        _open.setdefault(self.file, []).append(connection)
        return connection

    def _connect(self, wait_s: float) -> duckdb.DuckDBPyConnection:
        # A killed holder's turn can be free an instant before the kernel has closed its database file.
        until = time.monotonic() + wait_s
        while True:
            try:
                return duckdb.connect(self.file)
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                if "Could not set lock" not in reason:
                    raise WorkshopUnreadable(self.file, reason) from error
                if time.monotonic() >= until:
                    raise WorkshopLocked(self.file, reason) from error
            time.sleep(0.05)

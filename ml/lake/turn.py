"""A queue of processes and threads for one thing that only one of them may use at a time.

What the turn is for (the workshop file, a publish) does not belong here.
"""

import contextlib
import fcntl
import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ml.errors import TurnNotGranted

_POLL_S = (0.002, 0.05)  # first and longest pause between two looks at the queue
_held: dict[tuple[int, int, Path], int] = {}  # (process, thread, lock file) -> depth


@dataclass(frozen=True)
class Holder:
    """Who has the turn now, as it wrote itself into the lock file."""

    pid: int
    command: str
    since: str


@contextlib.contextmanager
def turn(lock: Path, wait_s: float) -> Iterator[bool]:
    """Wait in line for `lock`, hold it inside the block; yields whether this is the outermost block.

    First come, first served between processes and threads; re-entrant within a thread. The kernel gives the
    lock back when its holder dies, however it dies. Raises TurnNotGranted after `wait_s` seconds.
    """
    key = (os.getpid(), threading.get_ident(), lock)
    if key in _held:
        _held[key] += 1
        try:
            yield False
        finally:
            _held[key] -= 1
        return
    handle = _wait(lock, wait_s)
    _held[key] = 1
    try:
        yield True
    finally:
        del _held[key]
        os.ftruncate(handle, 0)
        fcntl.flock(handle, fcntl.LOCK_UN)  # a forked child may still hold the descriptor
        os.close(handle)


def is_held(lock: Path) -> bool:
    """Whether the calling thread is inside a turn on `lock`."""
    return (os.getpid(), threading.get_ident(), lock) in _held


def holder(lock: Path) -> Holder | None:
    """Who wrote itself into `lock` last and has not left; None when nobody has."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        return Holder(**json.loads(lock.read_text()))
    return None


def _wait(lock: Path, wait_s: float) -> int:
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    if not _waiting(lock) and _try(handle):
        return _signed(handle)
    started, pause = time.monotonic(), _POLL_S[0]
    with _ticket(lock) as ticket:
        while not (_is_first(ticket) and _try(handle)):
            waited = time.monotonic() - started
            if waited >= wait_s:
                os.close(handle)
                raise TurnNotGranted(lock, waited, holder(lock))
            time.sleep(min(pause, max(0.0, wait_s - waited)) * random.uniform(0.7, 1.0))  # noqa: S311
            pause = min(pause * 1.5, _POLL_S[1])
        return _signed(handle)


def _queue(lock: Path) -> Path:
    return lock.with_name(lock.name + ".queue")


def _tickets(queue: Path) -> list[Path]:
    if not queue.exists():
        return []
    return sorted(ticket for ticket in queue.iterdir() if ticket.suffix != ".new")


def _waiting(lock: Path) -> bool:
    return any(_is_alive(ticket) for ticket in _tickets(_queue(lock)))


@contextlib.contextmanager
def _ticket(lock: Path) -> Iterator[Path]:
    queue = _queue(lock)
    queue.mkdir(exist_ok=True)
    ticket = queue / f"{time.time_ns():020d}-{os.getpid()}-{threading.get_ident()}"
    handle = os.open(ticket.with_suffix(".new"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    ticket.with_suffix(".new").rename(ticket)
    try:
        yield ticket
    finally:
        ticket.unlink(missing_ok=True)
        os.close(handle)


def _is_first(ticket: Path) -> bool:
    return not any(_is_alive(other) for other in _tickets(ticket.parent) if other.name < ticket.name)


def _is_alive(ticket: Path) -> bool:
    try:
        handle = os.open(ticket, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        if not _try(handle):
            return True
        ticket.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signed(handle: int) -> int:
    command = " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:]])[:200]
    note = {"pid": os.getpid(), "command": command, "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(note).encode(), 0)
    return handle

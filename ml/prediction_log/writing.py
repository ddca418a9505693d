"""Appends answers to the log beside the requests: a queue with a bound, one write a tenth of a second.

Answers wait for nothing. What a full disk or a slow one keeps from being written is counted and told; what
becomes of finished segments is `compaction`'s.
"""

import fcntl
import os
import platform
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml.prediction_log.frames import frame
from ml.prediction_log.ids import COUNT_FROM, Ids
from ml.prediction_log.record import Answered, Ended, Shape, Started, encode, encode_batch

SEGMENTS = "segments"
_FLUSH_S = 0.1
_MANY = 256  # do not wait so long: the more are written at once, the longer requests wait for it
_AT_ONCE = 64
_DAY_S = 86_400


@dataclass(frozen=True)
class Limits:
    """A segment ends at midnight (UTC), at an age, or at a size; the queue drops what is beyond its bound."""

    segment_bytes: int = 64 * 2**20
    segment_s: float = 600.0
    queue_bytes: int = 16 * 2**20


@dataclass(frozen=True)
class State:
    """How the log does: answers queued, written and dropped, and why the last write failed if it did."""

    n_queued: int
    n_written: int
    n_dropped: int
    error: str | None


class PredictionLog:
    """One process' log; `ended` is called with each segment that it has finished."""

    def __init__(
        self, folder: Path, limits: Limits | None = None, ended: Callable[[Path], None] | None = None
    ) -> None:
        self.folder = folder
        self._limits, self._ended = limits or Limits(), ended
        self._ids = Ids()
        self._shapes: dict[tuple[str, str, str], int] = {}
        self._said: dict[int, bytes] = {}
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._n_bytes = 0
        self._n_written = self._n_dropped = self._n_given = 0
        self._error: str | None = None
        self._segment: _Segment | None = None
        self._n_segments = self._last_count = 0
        self._stop, self._due, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="prediction log", daemon=True)
        self._thread.start()

    @property
    def process(self) -> str:
        """The part of its answers' ids that names this process."""
        return self._ids.process

    @property
    def state(self) -> State:
        """As of now."""
        return State(len(self._queue), self._n_written, self._n_dropped, self._error)

    @property
    def n_queued(self) -> int:
        """Answers that are not written yet."""
        return len(self._queue)

    def next_id(self) -> str:
        """The id of the next answer."""
        return self._ids.next_id()

    def shape(self, key: tuple[str, str, str], make: Callable[[int], Shape]) -> int:
        """The number of a shape (model, version, route), made when it is first asked for."""
        number = self._shapes.get(key)
        if number is None:
            with self._lock:
                number = self._shapes.setdefault(key, len(self._shapes) + 1)
                self._said.setdefault(number, frame(encode(make(number))))
        return number

    def append(self, answer: Answered) -> None:
        """Queue an answer; counted and left out when the queue is full."""
        data = encode(answer)
        with self._lock:
            self._n_given += 1
            if self._n_bytes + len(data) > self._limits.queue_bytes:
                self._n_dropped += 1
                return
            self._n_bytes += len(data)
            self._queue.append((int(answer.id[COUNT_FROM:], 16), answer.shape, data))
        if len(self._queue) >= _MANY and not self._due.is_set():
            self._due.set()

    def close(self) -> None:
        """Write what is queued and end the segment."""
        self._stop.set()
        self._due.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            (self._stop if self._error else self._due).wait(
                _FLUSH_S
            )  # what failed is not tried again at once
            self._due.clear()
            self._flush(is_last=False)
        self._flush(is_last=True)

    def _flush(self, *, is_last: bool) -> None:
        """One write of all that waits; on failure it goes on waiting, and the file is as it was."""
        taken = []
        while self._queue:
            taken.append(self._queue.popleft())
        try:
            if taken:
                self._write(taken)
            if self._segment and (is_last or self._segment.is_over(self._limits)):
                self._end(self._segment)
            self._error = None
        except OSError as failure:
            self._queue.extendleft(reversed(taken))
            self._error = f"{failure.strerror or failure} ({self.folder})"
            return
        with self._lock:
            self._n_bytes -= sum(len(data) for *_, data in taken)
            self._n_written += len(taken)

    def _write(self, taken: list[tuple[int, int, bytes]]) -> None:
        segment = self._segment or self._begin()
        unsaid = dict.fromkeys(number for _, number, _ in taken if number not in segment.said)
        # A few at a time: what is encoded or copied in one go, requests wait for.
        batches = (taken[at : at + _AT_ONCE] for at in range(0, len(taken), _AT_ONCE))
        told = (frame(encode_batch([data for *_, data in batch])) for batch in batches)
        segment.write(*(self._said[number] for number in unsaid), *told)
        segment.said.update(unsaid)
        self._last_count = max(self._last_count, *(count for count, *_ in taken))

    def _begin(self) -> "_Segment":
        now = time.time()
        folder = self.folder / SEGMENTS
        folder.mkdir(parents=True, exist_ok=True)
        day = time.strftime("%Y%m%d", time.gmtime(now))
        file = folder / f"{day}-{self._ids.process}-{self._n_segments + 1:05d}.log"
        segment = _Segment(file, now)
        started = Started(
            process=self._ids.process,
            segment=self._n_segments + 1,
            after_count=self._last_count,
            at_us=int(now * 1e6),
            host=platform.node(),
            pid=os.getpid(),
        )
        try:
            segment.write(frame(encode(started)))
        except OSError:
            segment.close()
            file.unlink(missing_ok=True)
            raise
        self._n_segments += 1
        self._segment = segment
        return segment

    def _end(self, segment: "_Segment") -> None:
        ended = Ended(self._n_given, self._n_dropped, int(time.time() * 1e6))
        segment.write(frame(encode(ended)))
        segment.close()
        self._segment = None
        if self._ended:
            self._ended(segment.file)


class _Segment:
    """A file held by its writer: whoever gets its lock knows that the writer has ended."""

    def __init__(self, file: Path, now: float) -> None:
        self.file = file
        self.said: dict[int, None] = {}
        self._began, self._midnight = time.monotonic(), (now // _DAY_S + 1) * _DAY_S
        self._size = 0
        self._handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, *frames: bytes) -> None:
        """All of them, or none: what a full disk took in part is taken back."""
        try:
            for data in frames:
                done = os.write(self._handle, data)
                while done < len(data):
                    done += os.write(self._handle, data[done:])
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += sum(map(len, frames))

    def is_over(self, limits: Limits) -> bool:
        is_old = time.monotonic() - self._began >= limits.segment_s
        return is_old or self._size >= limits.segment_bytes or time.time() >= self._midnight

    def close(self) -> None:
        os.close(self._handle)

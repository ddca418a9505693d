"""Trying things that may fail, without failing: what went wrong is kept, told, and tried again later.

What is tried, and what a failure means, is for the caller to know.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")

_LOG = logging.getLogger("bentoml.headwater")
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0


@dataclass(frozen=True)
class Failure:
    """The last failure of a kind of thing; `which` says of what in particular."""

    what: str
    which: str
    message: str
    since: datetime
    n_times: int
    retry_at: float

    def as_json(self) -> dict[str, Any]:
        """As shown to people."""
        told = {"what": self.what, "which": self.which, "message": self.message}
        return {**told, "since": self.since, "n_times": self.n_times}


class Attempts:
    """Failures by kind; a thing that failed is tried again after 1, 2, 4, … 30 s, another one at once."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._failures: dict[str, Failure] = {}

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What does not work at present."""
        return tuple(self._failures.values())

    def attempt(self, what: str, which: str, act: Callable[[], T]) -> T | None:
        """Do it unless it failed a short while ago; None when it was not done or failed."""
        before = self._failures.get(what)
        if before and before.which == which and time.monotonic() < before.retry_at:
            return None
        try:
            done = act()
        except Exception as failure:  # noqa: BLE001  whatever it was, serving goes on and the reason is kept
            self._note(what, which, failure, before if before and before.which == which else None)
            return None
        self.forget(what)
        return done

    def forget(self, what: str) -> None:
        """What was wanted of this kind is no longer wanted, or is in place."""
        self._failures.pop(what, None)

    def _note(self, what: str, which: str, failure: Exception, before: Failure | None) -> None:
        n_times = 1 + (before.n_times if before else 0)
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(n_times - 1, 10))
        message = f"{type(failure).__name__}: {failure}"
        since = before.since if before else datetime.now(UTC)
        self._failures[what] = Failure(what, which, message, since, n_times, time.monotonic() + wait_s)
        self._failed(what)
        if n_times == 1:
            _LOG.warning('%s "%s" was not taken into service, what serves goes on: %s', what, which, message)

"""Ids of answers: the day, the process that answered, and its count, so that a missing answer shows.

Nothing is stored here.
"""

import itertools
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ml.errors import AnswerIdMalformed

_FORM = re.compile(r"(\d{8})-([0-9a-f]{8})-([0-9a-f]{6,12})")
_DAY_S = 86_400
COUNT_FROM = 18  # characters of an id before its count


@dataclass(frozen=True)
class AnswerId:
    """An id taken apart; `count` begins with 1 in each process."""

    day: date
    process: str
    count: int

    @classmethod
    def parse(cls, text: str) -> "AnswerId":
        """Raises AnswerIdMalformed."""
        found = _FORM.fullmatch(text)
        try:
            day = date(int(text[:4]), int(text[4:6]), int(text[6:8])) if found else None
        except ValueError:
            day = None
        if found is None or day is None:
            raise AnswerIdMalformed(text)
        return cls(day, found[2], int(found[3], 16))


class Ids:
    """The ids of one process, in less than a microsecond each; safe to use from several threads."""

    def __init__(self) -> None:
        self.process = secrets.token_hex(4)
        self._count = itertools.count(1)
        self._midnight, self._head = 0.0, ""

    def next_id(self, now: float | None = None) -> str:
        """The next one, of the day (UTC) of `now`, in seconds since 1970."""
        at = time.time() if now is None else now
        if at >= self._midnight:
            self._midnight = (at // _DAY_S + 1) * _DAY_S
            self._head = f"{datetime.fromtimestamp(at, UTC):%Y%m%d}-{self.process}-"
        return f"{self._head}{next(self._count):06x}"

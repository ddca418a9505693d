"""The data that is shipped, as far as commands must know it: which days it has, and how it lands.

What is in its files is the landers'.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from headwater import nycflights, pizzaplace

Land = Callable[[Path, date | None, date, Callable[[Path], None] | None], int]


@dataclass(frozen=True)
class Shipped:
    """One set of data: its days, up to which of them `up` lands it first, and what more of it is called.

    `ahead` is how long after the day that its newest file is named by the next files are there to be landed.
    """

    first_day: date
    last_day: date
    first_until: date
    land: Land
    more: str
    ahead: timedelta

    def has(self, day: date) -> bool:
        """Whether a day is one of its days."""
        return self.first_day <= day <= self.last_day


SHIPPED = (
    Shipped(
        nycflights.FIRST_DAY,
        nycflights.LAST_DAY,
        date(2013, 9, 30),
        nycflights.land,
        "more days",
        timedelta(days=7),
    ),
    Shipped(
        pizzaplace.FIRST_WEEK,
        pizzaplace.LAST_DAY,
        date(2015, 9, 27),
        pizzaplace.land,
        "more weeks",
        timedelta(days=13),
    ),
)


def shipped_until(day: date) -> Shipped:
    """The data that had begun last by a day."""
    begun = [one for one in SHIPPED if one.first_day <= day]
    return begun[-1] if begun else SHIPPED[0]

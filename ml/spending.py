"""How strict the next test must be, so that testing at every retrain does not promote by chance.

Each test spends a declared share of what is left of the year's budget: however many tests there are, in no
year do their levels add up to more than the budget, and neither does the chance of a promotion by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Spending:
    """What one test may spend: it is the `nth` within a year, and leaves `left` of the budget."""

    level: float
    left: float
    nth: int


def spend(spent: Sequence[float], budget: float, share: float) -> Spending:
    """The next test's level, after the levels spent within the year before it."""
    left = max(0.0, budget - sum(spent))
    return Spending(level=left * share, left=left * (1 - share), nth=1 + len(spent))

"""How sure a metric is: intervals by a bootstrap over days, since rows of one day are not independent.

A day is drawn with all its rows or not at all (Davison and Hinkley 1997, section 3.8: cluster resampling).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.analysis.weighted import WEIGHTED, OfWeights
from ml.metrics import METRICS, Labels, Scores

SHARE = 0.95
N_DRAWS = 1_000
_SEED = 20_130_101
_FEWEST_DRAWS = 0.9  # of all, in which a metric must be defined


@dataclass(frozen=True)
class Interval:
    """Where a metric lies with a probability of 0.95, were other days drawn."""

    low: float
    high: float


@dataclass(frozen=True)
class Draws:
    """How often each day was drawn, of shape (draws, days), and the day of each row, of shape (n,)."""

    counts: NDArray[np.float64]
    day_of: NDArray[np.intp]

    def values(self, metric: OfWeights, rows: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """The metric in each draw, of shape (draws,); `rows` are those it was prepared with, or all."""
        day_of = self.day_of if rows is None else self.day_of[rows]
        return np.array([metric(counts[day_of]) for counts in self.counts])


def drawn(days: NDArray[Any], n_draws: int = N_DRAWS) -> Draws:
    """Draw as many days as there are, again and again; the same days give the same draws."""
    present, day_of = np.unique(days, return_inverse=True)
    chance = np.full(len(present), 1 / len(present))
    counts = np.random.default_rng(_SEED).multinomial(len(present), chance, size=n_draws)
    return Draws(counts.astype(np.float64), day_of)


def intervals(task: str, labels: Labels, scores: Scores, draws: Draws) -> dict[str, Interval]:
    """The interval of every metric of the task that has one: not with a single day."""
    found: dict[str, Interval] = {}
    for name in METRICS[task]:
        interval = interval_of(draws.values(WEIGHTED[name](labels, scores)))
        if interval and draws.counts.shape[1] > 1:
            found[name] = interval
    return found


def interval_of(values: NDArray[np.float64]) -> Interval | None:
    """The middle 95 % of the values; None where more than a tenth of the draws gave none."""
    known = values[~np.isnan(values)]
    if len(known) < _FEWEST_DRAWS * len(values):
        return None
    low, high = np.quantile(known, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(float(low), float(high))

"""How sure a metric is: intervals by a bootstrap over days, since rows of one day are not independent.

A day is drawn with all its rows or not at all (Davison and Hinkley 1997, section 3.8: cluster resampling).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.analysis.resampled import RESAMPLED, Rows, Values
from ml.metrics import Labels, Scores

SHARE = 0.95
N_DRAWS = 1_000
_SEED = 20_130_101
_FEWEST_KNOWN = 0.9  # of the draws
_AT_ONCE = 100  # draws


@dataclass(frozen=True)
class Interval:
    """Where a metric lies with a probability of 0.95, were other days drawn."""

    low: float
    high: float


@dataclass(frozen=True)
class Draws:
    """Rows of a task, and how often each of their days was drawn, of shape (draws, days)."""

    task: str
    rows: Rows
    counts: Values

    def values(self, metric: str, some: NDArray[np.intp] | None = None) -> Values:
        """The metric of the rows, or of some of them, in each draw; NaN where it has none."""
        of = RESAMPLED[self.task][metric](self.rows if some is None else self.rows.taken(some))
        parts = (self.counts[n : n + _AT_ONCE] for n in range(0, len(self.counts), _AT_ONCE))
        return np.concatenate([of(part) for part in parts])


def drawn(task: str, labels: Labels, scores: Scores, days: NDArray[Any], n_draws: int = N_DRAWS) -> Draws:
    """Draw as many days as there are, again and again; the same days give the same draws."""
    present, day_of = np.unique(days, return_inverse=True)
    chance = np.full(len(present), 1 / len(present))
    counts = np.random.default_rng(_SEED).multinomial(len(present), chance, size=n_draws)
    return Draws(task, Rows(labels, scores, day_of, len(present)), counts.astype(np.float64))


def intervals(draws: Draws) -> dict[str, Interval]:
    """The interval of each metric that can be put together from days; none with a single day."""
    if draws.rows.n_days == 1:
        return {}
    found = {name: interval_of(draws.values(name)) for name in RESAMPLED[draws.task]}
    return {name: interval for name, interval in found.items() if interval}


def interval_of(values: Values) -> Interval | None:
    """The middle 95 % of the values; None where more than a tenth of the draws gave none."""
    known = values[~np.isnan(values)]
    if len(known) < _FEWEST_KNOWN * len(values):
        return None
    low, high = np.quantile(known, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(float(low), float(high))

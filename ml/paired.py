"""How sure it is that one model is better than another on the same rows, by blocks of days.

Rows of a day share their weather: days, not rows, are what is independent. What follows from it, and which
level is left to test at, is the gate's matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_BLOCKS = 7
"""Fewer blocks say too little about how much blocks differ."""
_MAX_BLOCKS = 60
_SURE = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """How much better the candidate is by one metric, positive whichever way the metric goes.

    `difference` is that of the metric over all rows, `standard_error` is over blocks of days.
    """

    metric: str
    difference: float
    standard_error: float
    n_blocks: int

    def p_value(self, min_effect: float) -> float:
        """Of the one-sided test that it is better by more than `min_effect` (Student's t, blocks - 1)."""
        if self.standard_error == 0:
            return 0.0 if self.difference > min_effect else 1.0
        from scipy.special import stdtr

        return float(stdtr(self.n_blocks - 1, (min_effect - self.difference) / self.standard_error))

    @property
    def interval(self) -> tuple[float, float]:
        """What the true difference is between with 95 % confidence."""
        from scipy.special import stdtrit

        reach = float(stdtrit(self.n_blocks - 1, (1 + _SURE) / 2)) * self.standard_error
        return self.difference - reach, self.difference + reach


def compare(metric: str, days: NDArray[Any], gain: Callable[[NDArray[np.bool_]], float]) -> Paired | str:
    """Leave each block of days out in turn and see how the difference changes; or why that can't be done.

    `days` has shape (rows,); `gain(kept)` is how much better the candidate is on the rows kept, NaN where the
    metric is not defined. A block is a day, or some days in a row where there are more than 60.
    """
    blocks = _blocks(days)
    sizes = np.bincount(blocks)
    if len(sizes) < MIN_BLOCKS:
        return f"there are {len(sizes)} days that neither was trained on, at least {MIN_BLOCKS} are needed"
    left_out = np.array([gain(blocks != block) for block in range(len(sizes))])
    whole = gain(np.ones(len(days), dtype=bool))
    if not np.isfinite(left_out).all():
        return f"without one of the days {metric} is not defined"
    (error,) = standard_errors(np.array([whole]), left_out[None], sizes[None])
    return Paired(metric, whole, float(error), len(sizes))


def standard_errors(whole: Floats, left_out: Floats, sizes: NDArray[Any]) -> Floats:
    """Standard errors, shape (n,), of n statistics over b blocks each.

    `whole` (n,) is over all rows, `left_out` (n, b) without each block, `sizes` (n, b) are rows of blocks.
    The delete-m jackknife for unequal m (Busing, Meijer, van der Leeden 1999, doi:10.1023/A:1008800423698);
    with Student's t it keeps its level from 7 days on, where the normal distribution does not.
    """
    shares = sizes.sum(axis=1, keepdims=True) / sizes
    values = shares * whole[:, None] - (shares - 1) * left_out
    estimate = (values / shares).sum(axis=1)
    variance = ((values - estimate[:, None]) ** 2 / (shares - 1)).mean(axis=1)
    return np.asarray(np.sqrt(variance))


def _blocks(days: NDArray[Any]) -> NDArray[np.intp]:
    """The block of each row: 0, 1, …"""
    present, place = np.unique(days, return_inverse=True)
    together = -(-len(present) // _MAX_BLOCKS)
    return np.asarray(place // together, dtype=np.intp)

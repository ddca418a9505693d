"""Metrics over days drawn again and again: tallied by day once, then computed for all draws together.

Each is the metric of `ml.metrics` over the rows that a draw has, some days' twice and some days' not at all.
Which days are drawn is the caller's matter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.analysis.outcomes import wrongness
from ml.metrics import Labels, Scores, calibration_groups

Values = NDArray[np.float64]
OfDraws = Callable[[Values], Values]
# Scores are tallied in at most so many groups of equal size: an area is right to about 0.0002.
_MOST_GROUPS = 512


@dataclass(frozen=True)
class Rows:
    """Labels and scores, and the number of each row's day, all of shape (n,)."""

    labels: Labels
    scores: Scores
    day_of: NDArray[np.intp]
    n_days: int

    def taken(self, rows: NDArray[np.intp]) -> "Rows":
        """Some of the rows, of the same days."""
        return Rows(self.labels[rows], self.scores[rows], self.day_of[rows], self.n_days)


def roc_auc(rows: Rows) -> OfDraws:
    """Area under the ROC curve; NaN where a draw has one class."""
    true, false = _tallied(rows)

    def of(counts: Values) -> Values:
        t, f = counts @ true, counts @ false
        below = np.cumsum(f, axis=1) - f / 2
        return _shares((t * below).sum(axis=1), t.sum(axis=1) * f.sum(axis=1))

    return of


def pr_auc(rows: Rows) -> OfDraws:
    """Average precision; NaN where a draw has no row of the class."""
    true, false = (tally[:, ::-1] for tally in _tallied(rows))

    def of(counts: Values) -> Values:
        t = counts @ true
        found = np.cumsum(t, axis=1)
        precision = _shares(found, found + np.cumsum(counts @ false, axis=1), 0.0)
        return _shares((t * precision).sum(axis=1), found[:, -1])

    return of


def log_loss(rows: Rows) -> OfDraws:
    """Mean negative log likelihood."""
    smallest = np.finfo(np.float64).eps
    likelihood = np.where(rows.labels, rows.scores, 1 - rows.scores).clip(smallest, 1 - smallest)
    return _mean(rows, -np.log(likelihood))


def brier(rows: Rows) -> OfDraws:
    """Mean squared distance of score and label."""
    return _mean(rows, (rows.scores - rows.labels) ** 2)


def calibration_error(rows: Rows) -> OfDraws:
    """Mean gap of score and label over the groups that all rows make by rising score."""
    groups = calibration_groups(rows.scores)
    place = np.empty(len(rows.scores), dtype=np.intp)
    for n, group in enumerate(groups):
        place[group] = n
    gaps = _by_day(rows, place, len(groups), rows.labels - rows.scores)
    n_rows = np.bincount(rows.day_of, minlength=rows.n_days)

    def of(counts: Values) -> Values:
        return _shares(np.abs(counts @ gaps).sum(axis=1), counts @ n_rows)

    return of


def rmse(rows: Rows) -> OfDraws:
    """Root of the mean squared distance."""
    of = _mean(rows, (rows.scores - rows.labels) ** 2)
    return lambda counts: np.sqrt(of(counts))


def mae(rows: Rows) -> OfDraws:
    """Mean distance."""
    return _mean(rows, np.abs(rows.scores - rows.labels))


def r2(rows: Rows) -> OfDraws:
    """Share of the labels' variance that is explained."""
    error, square = _mean(rows, (rows.scores - rows.labels) ** 2), _mean(rows, rows.labels**2)
    mean = _mean(rows, rows.labels)
    return lambda counts: 1 - _shares(error(counts), square(counts) - mean(counts) ** 2)


def bias(rows: Rows) -> OfDraws:
    """Distance of the means, either way."""
    of = _mean(rows, rows.scores - rows.labels)
    return lambda counts: np.abs(of(counts))


def log_loss_of_classes(rows: Rows) -> OfDraws:
    """Mean negative log likelihood of the true class."""
    smallest = np.finfo(np.float64).eps
    return _mean(rows, -np.log((1 - wrongness("multiclass", rows.labels, rows.scores)).clip(smallest)))


def accuracy(rows: Rows) -> OfDraws:
    """Share of rows whose most probable class came true."""
    return _mean(rows, (rows.scores.argmax(axis=1) == rows.labels).astype(np.float64))


RESAMPLED: Mapping[str, Mapping[str, Callable[[Rows], OfDraws]]] = {
    "binary": {
        "roc_auc": roc_auc,
        "pr_auc": pr_auc,
        "log_loss": log_loss,
        "brier": brier,
        "calibration_error": calibration_error,
    },
    "regression": {"rmse": rmse, "mae": mae, "r2": r2, "bias": bias},
    "multiclass": {"log_loss": log_loss_of_classes, "accuracy": accuracy},
    "ranking": {},
}
"""By task and the metric's name: those that can be put together from days."""


def _tallied(rows: Rows) -> tuple[Values, Values]:
    """Rows of both classes by day and group of scores, rising, of shape (days, groups)."""
    bounds = np.unique(rows.scores)
    if len(bounds) > _MOST_GROUPS:
        bounds = np.unique(np.quantile(rows.scores, np.arange(1, _MOST_GROUPS) / _MOST_GROUPS))
    place = np.searchsorted(bounds, rows.scores)
    n_groups = len(bounds) + 1
    return (
        _by_day(rows, place, n_groups, rows.labels.astype(np.float64)),
        _by_day(rows, place, n_groups, (~rows.labels).astype(np.float64)),
    )


def _by_day(rows: Rows, place: NDArray[np.intp], n_places: int, values: Values) -> Values:
    """Sums of values by day and place."""
    sums = np.bincount(rows.day_of * n_places + place, values, minlength=rows.n_days * n_places)
    return np.asarray(sums, dtype=np.float64).reshape(rows.n_days, n_places)


def _mean(rows: Rows, values: Values) -> OfDraws:
    sums = np.bincount(rows.day_of, values, minlength=rows.n_days)
    n_rows = np.bincount(rows.day_of, minlength=rows.n_days)

    def of(counts: Values) -> Values:
        return _shares(counts @ sums, counts @ n_rows)

    return of


def _shares(part: Values, whole: Values, otherwise: float = float("nan")) -> Values:
    shares: Values = np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole > 0)
    return shares

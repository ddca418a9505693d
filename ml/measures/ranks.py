"""Measures of an order within groups: labels of shape (n, 2) are grade and group, scores of shape (n,).

Each is a mean over groups that hold a row of a grade above 0; equal scores keep the order of the rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Graded = NDArray[Any]
Scores = NDArray[np.float64]
_FIRST = 10


def ndcg(labels: Graded, scores: Scores) -> float:
    """Discounted gain over what the best order has; gain 2^grade - 1 (Burges et al. 2005)."""
    return _mean(labels, scores, lambda g: _gain(g) / _gain(np.sort(g)[::-1]))


def ndcg_10(labels: Graded, scores: Scores) -> float:
    """The same, of the first ten."""
    return _mean(labels, scores, lambda g: _gain(g[:_FIRST]) / _gain(np.sort(g)[::-1][:_FIRST]))


def mean_reciprocal_rank(labels: Graded, scores: Scores) -> float:
    """One over the place of the first row of a grade above 0."""
    return _mean(labels, scores, lambda g: 1 / (1 + float(np.argmax(g > 0))))


def mean_average_precision(labels: Graded, scores: Scores) -> float:
    """Mean precision at the places of the rows of a grade above 0."""
    return _mean(labels, scores, _average_precision)


def _average_precision(grades: NDArray[Any]) -> float:
    places = np.flatnonzero(grades > 0) + 1
    return float(np.mean(np.arange(1, len(places) + 1) / places))


def _gain(grades: NDArray[Any]) -> float:
    return float(np.sum((2.0**grades - 1) / np.log2(np.arange(2, len(grades) + 2))))


def _mean(labels: Graded, scores: Scores, of: Callable[[NDArray[Any]], float]) -> float:
    order = np.lexsort((-scores, labels[:, 1]))
    grades, groups = labels[order, 0], labels[order, 1]
    starts = np.flatnonzero(np.diff(groups)) + 1
    return float(np.mean([of(one) for one in np.split(grades, starts) if one.any()]))

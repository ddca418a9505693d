"""Shapes of an evaluation: curves, calibration in groups, errors, confusion of classes.

How they are drawn does not belong here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Labels, Scores, calibration_groups, scikit_learn

_CURVE_POINTS = 200


@dataclass(frozen=True)
class Bin:
    """One of the equal groups by rising score: what was predicted and what came true."""

    n_rows: int
    score_mean: float
    label_mean: float


@dataclass(frozen=True)
class Curve:
    """Points of a curve, thinned to at most 200."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Confusion:
    """How many rows of each class (first index) were told to be each class (second index)."""

    classes: tuple[str, ...]
    n_rows: tuple[tuple[int, ...], ...]


def roc_and_pr(labels: Labels, scores: Scores) -> tuple[Curve, Curve]:
    false_positive, true_positive, _ = scikit_learn().roc_curve(labels, scores)
    precision, recall, _ = scikit_learn().precision_recall_curve(labels, scores)
    return _thinned(false_positive, true_positive), _thinned(recall[::-1], precision[::-1])


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> Curve:
    """Points evenly spaced along the curve, first and last kept."""
    along = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)) / 4)))
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], _CURVE_POINTS)))
    return Curve(tuple(x[kept].round(5).tolist()), tuple(y[kept].round(5).tolist()))


def bins(came_true: NDArray[Any], told: Scores) -> tuple[Bin, ...]:
    groups = calibration_groups(told)
    return tuple(Bin(len(rows), float(told[rows].mean()), float(came_true[rows].mean())) for rows in groups)


def errors(differences: NDArray[np.float64]) -> Curve:
    shares = np.linspace(0, 1, _CURVE_POINTS + 1)
    return Curve(tuple(shares.round(5).tolist()), tuple(np.quantile(differences, shares).round(9).tolist()))


def confusion(classes: tuple[str, ...], labels: Labels, scores: Scores) -> Confusion:
    n = len(classes)
    known = labels >= 0  # the others are of a class that was never trained on
    cells = np.bincount(labels[known] * n + scores[known].argmax(axis=1), minlength=n * n)
    return Confusion(classes, tuple(map(tuple, cells.reshape(n, n).tolist())))

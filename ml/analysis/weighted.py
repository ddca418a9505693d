"""Metrics of rows with weights, sorted once and then computed for many weightings.

With equal weights each is what `ml.metrics` computes; which weights there are is the caller's matter.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Labels, Scores

Weights = NDArray[np.float64]
OfWeights = Callable[[Weights], float]
N_GROUPS = 20


def roc_auc(labels: Labels, scores: Scores) -> OfWeights:
    """Area under the ROC curve; NaN where the weights leave one class."""
    order, ends = _falling(scores)
    positive = labels[order].astype(np.float64)

    def of(weights: Weights) -> float:
        true, false = _cumulated(weights[order], positive, ends)
        area = float(np.trapezoid(true, false))
        return _share(area, true[-1] * false[-1])

    return of


def pr_auc(labels: Labels, scores: Scores) -> OfWeights:
    """Average precision; NaN where the weights leave no row of the class."""
    order, ends = _falling(scores)
    positive = labels[order].astype(np.float64)

    def of(weights: Weights) -> float:
        true, false = _cumulated(weights[order], positive, ends)
        found = true + false
        precision = np.divide(true, found, out=np.zeros_like(true), where=found > 0)
        return _share(float(np.sum(np.diff(true) * precision[1:])), true[-1])

    return of


def log_loss(labels: Labels, scores: Scores) -> OfWeights:
    """Mean negative log likelihood."""
    smallest = np.finfo(np.float64).eps
    likelihood = np.where(labels, scores, 1 - scores).clip(smallest, 1 - smallest)
    return _mean_of(-np.log(likelihood))


def brier(labels: Labels, scores: Scores) -> OfWeights:
    """Mean squared distance of score and label."""
    return _mean_of((scores - labels) ** 2)


def calibration_error(labels: Labels, scores: Scores) -> OfWeights:
    """Mean gap of score and label over 20 groups of equal weight by rising score."""
    order = np.argsort(scores, kind="stable")
    gaps = (labels - scores)[order]

    def of(weights: Weights) -> float:
        placed = weights[order]
        until = np.cumsum(placed)
        # A row is of the group that its middle falls into.
        group = np.minimum((until - placed / 2) / until[-1] * N_GROUPS, N_GROUPS - 1).astype(np.intp)
        return _share(
            float(np.abs(np.bincount(group, placed * gaps, minlength=N_GROUPS)).sum()), float(until[-1])
        )

    return of


WEIGHTED: Mapping[str, Callable[[Labels, Scores], OfWeights]] = {
    "roc_auc": roc_auc,
    "pr_auc": pr_auc,
    "log_loss": log_loss,
    "brier": brier,
    "calibration_error": calibration_error,
}
"""By the metric's name."""


def _falling(scores: Scores) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows by falling score, and the last place of each group of equal scores."""
    order = np.argsort(-scores, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)


def _cumulated(weights: Weights, positive: Weights, ends: NDArray[np.intp]) -> tuple[Weights, Weights]:
    """Weight of both classes at or above each score, from none on."""
    true, all_ = np.cumsum(weights * positive)[ends], np.cumsum(weights)[ends]
    return np.concatenate(([0.0], true)), np.concatenate(([0.0], all_ - true))


def _mean_of(values: Weights) -> OfWeights:
    def of(weights: Weights) -> float:
        return _share(float(weights @ values), float(weights.sum()))

    return of


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")

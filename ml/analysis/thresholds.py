"""What acting on a score above a threshold would do: how many rows, how many rightly, and at what cost.

Which threshold is used is decided by whoever acts on predictions.
"""

from dataclasses import dataclass

import numpy as np

from ml.declaration import Costs
from ml.metrics import Labels, Scores

_N_STEPS = 50


@dataclass(frozen=True)
class Threshold:
    """Acting on all rows with a score of at least `at`; `cost` is a row's mean, in the declared unit."""

    at: float
    acted_on: float
    precision: float | None
    recall: float
    cost: float


def thresholds(labels: Labels, scores: Scores, costs: Costs) -> tuple[Threshold, ...]:
    """Fifty thresholds from 0 to 0.98; labels hold both classes."""
    ranked = np.sort(scores)
    order = np.argsort(scores, kind="stable")
    positives_below = np.concatenate(([0], np.cumsum(labels[order])))
    n_positive, n = int(labels.sum()), len(labels)
    found = []
    for at in np.arange(_N_STEPS) / _N_STEPS:
        n_below = int(np.searchsorted(ranked, at, side="left"))
        missed = int(positives_below[n_below])
        acted, right = n - n_below, n_positive - missed
        cost = (costs.false_positive * (acted - right) + costs.false_negative * missed) / n
        precision = right / acted if acted else None
        found.append(Threshold(float(at), acted / n, precision, right / n_positive, cost))
    return tuple(found)


def cheapest(curve: tuple[Threshold, ...]) -> Threshold:
    """The threshold of the least cost; of several the lowest."""
    return min(curve, key=lambda one: one.cost)

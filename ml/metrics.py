"""The measures a model can be judged by, each with its direction.

What they are compared with is the gate's matter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.lean_import import without

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """One measure: `compute(labels, scores)`, both of shape (n,), labels holding both classes."""

    name: str
    title: str
    higher_is_better: bool
    compute: Callable[[Labels, Scores], float]

    def is_defined(self, labels: Labels) -> bool:
        """Whether these labels give it a value."""
        return bool(labels.any() and not labels.all())

    def shortfall(self, value: float, reference: float) -> float:
        """How much `value` is worse than `reference`, in the metric's unit; negative when it is better."""
        return reference - value if self.higher_is_better else value - reference


def scikit_learn() -> Any:
    """`sklearn.metrics`, without the pandas and matplotlib it would load."""
    with without("pandas", "matplotlib"):
        import sklearn.metrics

    return sklearn.metrics


def _roc_auc(labels: Labels, scores: Scores) -> float:
    return float(scikit_learn().roc_auc_score(labels, scores))


def _pr_auc(labels: Labels, scores: Scores) -> float:
    return float(scikit_learn().average_precision_score(labels, scores))


def _log_loss(labels: Labels, scores: Scores) -> float:
    return float(scikit_learn().log_loss(labels, scores, labels=[False, True]))


def _brier(labels: Labels, scores: Scores) -> float:
    return float(scikit_learn().brier_score_loss(labels, scores))


def calibration_groups(scores: Scores, n_groups: int = 20) -> list[NDArray[np.intp]]:
    """Row numbers in `n_groups` groups of equal size by rising score; equal scores keep their row order."""
    order = np.argsort(scores, kind="stable")
    return [group for group in np.array_split(order, n_groups) if len(group)]


def _calibration_error(labels: Labels, scores: Scores) -> float:
    """Expected calibration error over equal-mass groups (Nixon et al. 2019, arXiv:1904.01685)."""
    gaps = [
        abs(float(labels[group].mean()) - float(scores[group].mean())) * len(group)
        for group in calibration_groups(scores)
    ]
    return float(sum(gaps) / len(scores))


def _registry(*metrics: Metric) -> Mapping[str, Mapping[str, Metric]]:
    return {"binary": {metric.name: metric for metric in metrics}}


METRICS: Mapping[str, Mapping[str, Metric]] = _registry(
    Metric("roc_auc", "ROC AUC", True, _roc_auc),
    Metric("pr_auc", "PR AUC", True, _pr_auc),
    Metric("log_loss", "Log loss", False, _log_loss),
    Metric("brier", "Brier score", False, _brier),
    Metric("calibration_error", "Calibration error", False, _calibration_error),
)
"""By task, then by name."""


def compute_all(task: str, labels: Labels, scores: Scores) -> dict[str, float]:
    """Every metric of the task over the same rows."""
    return {name: metric.compute(labels, scores) for name, metric in METRICS[task].items()}


def metric_of(task: str, name: str) -> Metric:
    """The metric by name; the declaration has checked that it exists."""
    return METRICS[task][name]

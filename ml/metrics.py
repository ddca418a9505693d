"""The measures a model can be judged by, each with its direction.

What they are compared with is the gate's matter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.lean_import import without
from ml.measures import classes, numbers, ranks

Labels = NDArray[Any]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """One measure: `compute(labels, scores)`, of labels that are not all the same.

    Labels are those of `ml.labels`: of shape (n,), for ranking (n, 2) of grade and group. Scores are of shape
    (n,), for multiclass (n, classes).
    """

    name: str
    title: str
    higher_is_better: bool
    compute: Callable[[Labels, Scores], float]

    def is_defined(self, labels: Labels) -> bool:
        """Whether these labels give it a value."""
        told = labels[:, 0] if labels.ndim > 1 else labels
        return bool(len(told) and told.min() != told.max())

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


def _registry(**tasks: Sequence[Metric]) -> Mapping[str, Mapping[str, Metric]]:
    return {task: {metric.name: metric for metric in metrics} for task, metrics in tasks.items()}


METRICS: Mapping[str, Mapping[str, Metric]] = _registry(
    binary=(
        Metric("roc_auc", "ROC AUC", True, _roc_auc),
        Metric("pr_auc", "PR AUC", True, _pr_auc),
        Metric("log_loss", "Log loss", False, _log_loss),
        Metric("brier", "Brier score", False, _brier),
        Metric("calibration_error", "Calibration error", False, _calibration_error),
    ),
    regression=(
        Metric("rmse", "Root mean squared error", False, numbers.rmse),
        Metric("mae", "Mean absolute error", False, numbers.mae),
        Metric("median_ae", "Median absolute error", False, numbers.median_ae),
        Metric("r2", "R squared", True, numbers.r2),
        Metric("bias", "Distance of the means", False, numbers.bias),
    ),
    multiclass=(
        Metric("log_loss", "Log loss", False, classes.log_loss),
        Metric("accuracy", "Accuracy", True, classes.accuracy),
        Metric("balanced_accuracy", "Balanced accuracy", True, classes.balanced_accuracy),
        Metric("f1_macro", "F1, mean of classes", True, classes.f1_macro),
        Metric("roc_auc_macro", "ROC AUC, mean of classes", True, classes.roc_auc_macro),
    ),
    ranking=(
        Metric("ndcg_10", "NDCG of the first 10", True, ranks.ndcg_10),
        Metric("ndcg", "NDCG", True, ranks.ndcg),
        Metric("mean_reciprocal_rank", "Mean reciprocal rank", True, ranks.mean_reciprocal_rank),
        Metric("mean_average_precision", "Mean average precision", True, ranks.mean_average_precision),
    ),
)
"""By task, then by name; the first of a task is what is shown where there is room for one."""


def compute_all(task: str, labels: Labels, scores: Scores) -> dict[str, float]:
    """Every metric of the task over the same rows."""
    return {name: metric.compute(labels, scores) for name, metric in METRICS[task].items()}


def metric_of(task: str, name: str) -> Metric:
    """The metric by name; the declaration has checked that it exists."""
    return METRICS[task][name]


def first_metric(task: str) -> Metric:
    """The metric that stands for the task where there is room for one."""
    return next(iter(METRICS[task].values()))

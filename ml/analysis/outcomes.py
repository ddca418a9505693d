"""What came true and what was told of it: one number each for a row, whatever the task.

Labels and scores themselves are as `ml.labels` and `ml.metrics` say.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Labels, Scores


def outcomes(task: str, labels: Labels, scores: Scores) -> tuple[NDArray[Any], Scores]:
    """What came true and what was told of it, both of shape (n,).

    Of classes: whether the most probable one came true, and its probability; of a ranking: grade and score.
    """
    if task == "multiclass":
        return scores.argmax(axis=1) == labels, scores.max(axis=1)
    return (labels[:, 0] if task == "ranking" else labels), scores


def wrongness(task: str, labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """How far off each prediction is, of shape (n,); of classes, what the true one's lacks to 1."""
    if task == "multiclass":
        true = scores[np.arange(len(labels)), labels]
        return np.where(labels >= 0, 1 - true, 1.0)
    came_true, told = outcomes(task, labels, scores)
    return np.abs(told - came_true.astype(np.float64))

"""Measures of several classes: labels are codes of shape (n,), -1 for a class that was never trained on.

Scores are probabilities of shape (n, classes). A mean of classes is over those that occur among the labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[Any]
Scores = NDArray[np.float64]
_SMALLEST = float(np.finfo(np.float64).eps)


def log_loss(labels: Codes, scores: Scores) -> float:
    """Mean negative log of the probability given to what came true."""
    likelihood = np.where(labels >= 0, scores[np.arange(len(labels)), labels], 0.0)
    return float(-np.log(likelihood.clip(_SMALLEST, 1)).mean())


def accuracy(labels: Codes, scores: Scores) -> float:
    """Share of rows whose most probable class is right."""
    return float((scores.argmax(axis=1) == labels).mean())


def balanced_accuracy(labels: Codes, scores: Scores) -> float:
    """Mean of the classes' recalls."""
    right = scores.argmax(axis=1) == labels
    return float(np.mean([right[labels == code].mean() for code in np.unique(labels)]))


def f1_macro(labels: Codes, scores: Scores) -> float:
    """Mean of the classes' F1."""
    told = scores.argmax(axis=1)
    found = []
    for code in np.unique(labels):
        both = ((told == code) & (labels == code)).sum()
        found.append(2 * both / ((told == code).sum() + (labels == code).sum()))
    return float(np.mean(found))


def roc_auc_macro(labels: Codes, scores: Scores) -> float:
    """Mean over classes of the chance that a row of it is given more of it than a row of another.

    Hand and Till 2001 average pairs of classes instead; this is one class against the rest.
    """
    found = [_auc(labels == code, scores[:, code]) for code in np.unique(labels) if code >= 0]
    return float(np.mean(found))


def _auc(is_it: NDArray[np.bool_], scores: Scores) -> float:
    # Mean ranks of equal scores: the Mann-Whitney form of the area.
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, rest = int(is_it.sum()), int((~is_it).sum())
    return float((mean_rank[is_it].sum() - n * (n + 1) / 2) / (n * rest))

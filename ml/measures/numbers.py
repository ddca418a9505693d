"""Measures of predicted numbers; labels and scores are of shape (n,), in the label's unit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def rmse(labels: Numbers, scores: Numbers) -> float:
    """Root of the mean squared distance."""
    return float(np.sqrt(np.mean((scores - labels) ** 2)))


def mae(labels: Numbers, scores: Numbers) -> float:
    """Mean distance."""
    return float(np.mean(np.abs(scores - labels)))


def median_ae(labels: Numbers, scores: Numbers) -> float:
    """The distance that half of the rows do not exceed."""
    return float(np.median(np.abs(scores - labels)))


def r2(labels: Numbers, scores: Numbers) -> float:
    """Share of the labels' variance that is explained; below 0 where their mean would be better."""
    return float(1 - np.sum((labels - scores) ** 2) / np.sum((labels - labels.mean()) ** 2))


def bias(labels: Numbers, scores: Numbers) -> float:
    """How far the mean prediction lies from the mean label, either way."""
    return float(abs(np.mean(scores) - np.mean(labels)))

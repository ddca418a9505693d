"""Two models' scores over simulated days, as unlike from day to day as those of the shipped model.

Of models trained on January to September, ROC AUC 0.74 to 0.80, two that differed by seed or by a week of
training differed over 28 days with a standard error of 0.0015 to 0.0031, in the median 0.0019, days were
correlated by about 0.1 with the next, and the differences of days had tails heavier than normal.
"""

import numpy as np
from numpy.typing import NDArray

from ml.paired import standard_errors

PER_DAY = 900
GAIN_005 = 0.16
"""Less noise, by this share, for a ROC AUC higher by 0.005."""
_BINS = 128
_BASE, _OF_DAY, _NOISE, _NEXT_DAY = 0.6, 0.085, 0.42, 0.1

Counts = NDArray[np.int32]


def rows(
    rng: np.random.Generator, n_days: int, gain: float = 0.0
) -> tuple[NDArray[np.intp], NDArray[np.bool_], list[NDArray[np.intp]]]:
    """Day, label and the two models' scores (128 steps) of some 900 rows a day."""
    day = np.repeat(np.arange(n_days), rng.poisson(PER_DAY, n_days))
    known = rng.standard_normal(len(day), dtype=np.float32)
    busy = _BASE * _following(rng.standard_normal(n_days))
    odds = -1.25 + 1.05 * known + busy[day].astype(np.float32)
    label = rng.random(len(day), dtype=np.float32) < 1 / (1 + np.exp(-odds))
    scores = []
    for noise in (_NOISE * (1 - gain), _NOISE):
        of_day = _OF_DAY * _following(rng.standard_t(4, n_days) / np.sqrt(2))
        score = known + (0.8 * busy + of_day)[day].astype(np.float32)
        score += noise * rng.standard_normal(len(day), dtype=np.float32)
        scores.append(np.clip((score + 4) * (_BINS / 8), 0, _BINS - 1).astype(np.intp))
    return day, label, scores


def counts(rng: np.random.Generator, n: int, n_days: int, gain: float = 0.0) -> Counts:
    """Rows by score, of shape (n, days, model, label, score), of n independent worlds."""
    worlds = np.empty((n, n_days, 2, 2, _BINS), np.int32)
    for world in worlds:
        day, label, scores = rows(rng, n_days, gain)
        for model, score in enumerate(scores):
            flat = np.bincount((day * 2 + label) * _BINS + score, minlength=n_days * 2 * _BINS)
            world[:, model] = flat.reshape(n_days, 2, _BINS)
    return worlds


def compared(worlds: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much higher the first model's ROC AUC is in each world, and the standard error over days."""
    together = worlds.sum(axis=1)
    sizes = worlds[:, :, 0].sum(axis=(2, 3))
    gains = _gain(together)
    return gains, standard_errors(gains, _gain(together[:, None] - worlds), sizes)


def roc_auc(counted: NDArray[np.int32]) -> NDArray[np.float64]:
    """Of rows by label and score (…, 2, 128); equal scores count half."""
    negative, positive = (counted[..., label, :].astype(np.float64) for label in (0, 1))
    below = np.cumsum(negative, axis=-1) - negative / 2
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    return np.asarray((positive * below).sum(axis=-1) / pairs)


def _gain(counted: NDArray[np.int32]) -> NDArray[np.float64]:
    both = roc_auc(counted)
    return np.asarray(both[..., 0] - both[..., 1])


def _following(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each day a little like the day before."""
    for day in range(1, len(values)):
        values[day] = _NEXT_DAY * values[day - 1] + np.sqrt(1 - _NEXT_DAY**2) * values[day]
    return values

"""How far one distribution over bins is from another.

What is too far is the declaration's matter.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A share of nothing would be infinitely far from any; one in ten thousand is as good as none.
LEAST_SHARE = 1e-4
Counts = NDArray[Any]


def psi(then: Counts, now: Counts) -> Any:
    """Population stability index: the sum over bins of (now - then) * ln(now / then), of shares.

    The counts have the shape (…, bins). Shares below LEAST_SHARE count as that. NaN where either has no
    rows. Source: Siddiqi, Credit Risk Scorecards, 2006; it is the Kullback-Leibler divergence both ways.
    """
    old, new = np.maximum(_shares(then), LEAST_SHARE), np.maximum(_shares(now), LEAST_SHARE)
    return np.sum((new - old) * np.log(new / old), axis=-1)


def jensen_shannon(then: Counts, now: Counts) -> Any:
    """Jensen-Shannon distance with base 2: 0 for the same distribution, 1 for two that share no bin.

    The root of the divergence, as `scipy.spatial.distance.jensenshannon` gives it.
    """
    old, new = _shares(then), _shares(now)
    middle = (old + new) / 2
    divergence = (_relative_entropy(old, middle) + _relative_entropy(new, middle)) / 2
    return np.sqrt(np.maximum(divergence, 0))


def noise(n_bins: Any, n_then: Any, n_now: Any) -> Any:
    """What PSI stays below with a probability of 0.999 for two draws of one distribution.

    It is (1/n + 1/m) times a chi-squared value of bins - 1 degrees of freedom (Yurdakul, 2018), here by
    Wilson and Hilferty's cube. Rows that are not independent of each other are farther apart.
    """
    free = np.maximum(np.asarray(n_bins, dtype=float) - 1, 1)
    chi2 = free * (1 - 2 / (9 * free) + 3.0902 * np.sqrt(2 / (9 * free))) ** 3
    with np.errstate(divide="ignore"):
        return chi2 * (1 / np.asarray(n_then, dtype=float) + 1 / np.asarray(n_now, dtype=float))


def _shares(counts: Counts) -> NDArray[np.float64]:
    values = np.asarray(counts, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: NDArray[np.float64] = values / values.sum(axis=-1, keepdims=True)
    return shares


def _relative_entropy(of: NDArray[np.float64], to: NDArray[np.float64]) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where(of > 0, of * np.log2(of / to), np.where(np.isnan(of), np.nan, 0.0))
    return terms.sum(axis=-1)

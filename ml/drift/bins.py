"""Into which bins the values of a feature are counted: set once from the training rows, kept with the model.

Counting is the fingerprints' matter.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ml.contract import Contract, Feature

N_BINS = 20
_SAMPLE = 100_000
SCORE = "score"


@dataclass(frozen=True)
class Bins:
    """Of one feature: either numbers or values.

    Numbers have `edges`, ascending: a bin holds what is up to and with its edge and above the one before; one
    more holds what is above the last. The first edge is below all training rows and the last is their
    maximum, so that the outermost bins hold what lies outside of the training rows' range. Values
    (`categories`) have a bin each, and one more for all that are not among them.
    """

    name: str
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        return bool(self.edges)

    @property
    def n_bins(self) -> int:
        return len(self.edges or self.categories) + 1


def bins_of(contract: Contract, rows: pa.Table) -> tuple[Bins, ...]:
    """For the features of a contract, from the training rows; a feature that no row has gets one bin."""
    return tuple(_of_feature(feature, rows[feature.name]) for feature in contract.features)


def number_bins(name: str, values: Any, n_bins: int = N_BINS) -> Bins:
    """Bins of about equally many of these numbers, fewer where many are the same."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return Bins(name, edges=(0.0,))
    sample = known[:: max(1, len(known) // _SAMPLE)]
    inner = np.quantile(sample, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    low, high = known.min(), known.max()
    edges = np.unique(np.concatenate([[np.nextafter(low, -np.inf)], inner, [high]]))
    return Bins(name, edges=tuple(edges.tolist()))


def _of_feature(feature: Feature, values: Any) -> Bins:
    if feature.type == "category":
        return Bins(feature.name, categories=feature.categories)
    if feature.type == "boolean":
        return Bins(feature.name, categories=("false", "true"))
    return number_bins(feature.name, values.cast(pa.float64()).to_numpy())

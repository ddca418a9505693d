"""What each feature adds to single predictions, over a sample of the rows (SHAP values where the engine has
them).

How one row is taken apart is the engine's matter; what mattered while fitting are the importances.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.contract import Contract
from ml.engines.protocol import Fitted
from ml.errors import EngineRefused
from ml.scoring import as_matrix, encode

N_ROWS = 200  # 3 to 4 ms each for 150 trees of 63 leaves
N_SHOWN = 12
_SEED = 20_130_101


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to the raw score: log odds of classes, else in the label's unit or the score's.

    `adds` is of each row; `places` of its value among those of the sample, 0 the lowest to 1 the highest,
    None where it is missing or a category, which has no order. Both only of the features that are shown.
    """

    feature: str
    mean: float
    adds: tuple[float, ...]
    places: tuple[float | None, ...]


@dataclass(frozen=True)
class Contributions:
    """Of every feature, the greatest `mean` of sizes first; of classes, to the most probable one's."""

    n_rows: int
    features: tuple[Contribution, ...]


def contributions(fitted: Fitted, contract: Contract, table: pa.Table) -> Contributions | str:
    """Take at most 200 rows apart, the same of the same table; or why the model can't be taken apart."""
    n = table.num_rows
    drawn = np.random.default_rng(_SEED).choice(n, min(n, N_ROWS), replace=False)
    values = as_matrix(encode(table.take(np.sort(drawn)), contract))
    try:
        adds = fitted.explain(values, threads=1)
    except EngineRefused as refusal:
        return refusal.reason
    if adds.ndim > 2:  # noqa: PLR2004 of classes
        told = fitted.raw(values, threads=1).argmax(axis=1)
        adds = adds[np.arange(len(values)), told]
    means = np.abs(adds[:, :-1]).mean(axis=0)
    order = sorted(range(len(means)), key=lambda one: (-means[one], fitted.features[one]))
    return Contributions(
        len(values),
        tuple(
            _contribution(contract, values, adds, place, is_shown=nth < N_SHOWN)
            for nth, place in enumerate(order)
        ),
    )


def _contribution(
    contract: Contract,
    values: NDArray[np.float64],
    adds: NDArray[np.float64],
    place: int,
    *,
    is_shown: bool,
) -> Contribution:
    feature, own = contract.features[place], adds[:, place]
    mean = float(np.abs(own).mean())
    if not is_shown:
        return Contribution(feature.name, mean, (), ())
    return Contribution(
        feature.name,
        mean,
        tuple(own.round(5).tolist()),
        (None,) * len(own) if feature.type == "category" else _places(values[:, place]),
    )


def _places(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    is_known = ~np.isnan(values)
    distinct = np.unique(values[is_known])
    found = np.searchsorted(distinct, values) / max(1, len(distinct) - 1)
    return tuple(
        round(float(place), 3) if known else None for place, known in zip(found, is_known, strict=True)
    )

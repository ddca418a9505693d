"""Why single rows score as they do: what each feature adds to the raw score, in words and units.

Exact for trees (SHAP values) and linear models: base and parts sum to the raw score, before any calibration.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import Contract, Feature
from ml.engines.protocol import Fitted


@dataclass(frozen=True)
class Part:
    """What one feature adds: to the log odds of the label or class, else to the value or the score."""

    feature: str
    value: Any
    unit: str | None
    adds: float
    says: str


@dataclass(frozen=True)
class Explanation:
    """`base` is what every row begins with, `raw` the sum; `parts` are the greatest first, zeros left out.

    `of` is what is explained: the label, or the class that is most probable.
    """

    of: str
    base: float
    raw: float
    parts: tuple[Part, ...]


def explain(
    fitted: Fitted, contract: Contract, matrix: NDArray[np.float64], rows: Sequence[Sequence[Any]]
) -> list[Explanation]:
    """Explain coded rows; `rows` are the values of the contract's features, in its order, as given.

    Raises EngineRefused when the model can't be taken apart.
    """
    adds = fitted.explain(matrix, threads=1)
    raw = fitted.raw(matrix, threads=1)
    of = [contract.label] * len(rows)
    if contract.task == "multiclass":
        best = raw.argmax(axis=1)
        places = np.arange(len(rows))
        adds, raw = adds[places, best], raw[places, best]
        of = [contract.classes[one] for one in best]
    is_odds = contract.task in ("binary", "multiclass")
    return [
        _explained(contract, of[n], adds[n], float(raw[n]), values, is_odds=is_odds)
        for n, values in enumerate(rows)
    ]


def _explained(
    contract: Contract,
    of: str,
    adds: NDArray[np.float64],
    raw: float,
    values: Sequence[Any],
    *,
    is_odds: bool,
) -> Explanation:
    parts = [
        Part(feature.name, value, feature.unit, float(one), _said(feature, value, float(one), of, is_odds))
        for feature, value, one in zip(contract.features, values, adds[:-1], strict=True)
        if one
    ]
    return Explanation(of, float(adds[-1]), raw, tuple(sorted(parts, key=lambda part: -abs(part.adds))))


def _said(feature: Feature, value: Any, adds: float, of: str, is_odds: bool) -> str:
    unit = f" {feature.unit}" if feature.unit and value is not None else ""
    is_missing = value is None or (isinstance(value, float) and math.isnan(value))
    shown = "missing" if is_missing else f"{_short(value)}{unit}"
    if is_odds:
        return f"{feature.name} is {shown}: odds of {of} times {math.exp(adds):.2f}"
    return f"{feature.name} is {shown}: {of} {adds:+.4g}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

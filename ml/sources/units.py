"""Whether a day's values are in other units than those of the days before, told by their quantiles alone.

Reading fingerprints and what a change leads to do not belong here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# What one unit becomes in another: value * factor + offset.
CONVERSIONS = {
    "degrees Fahrenheit to Celsius": (5 / 9, -160 / 9),
    "degrees Celsius to Fahrenheit": (9 / 5, 32.0),
    "degrees Celsius to kelvins": (1.0, 273.15),
    "degrees Fahrenheit to kelvins": (5 / 9, 255.372),
    "a 60th (seconds to minutes, minutes to hours)": (1 / 60, 0.0),
    "60 times as much (minutes to seconds, hours to minutes)": (60.0, 0.0),
    "3600 times as much (hours to seconds)": (3600.0, 0.0),
    "a 3600th (seconds to hours)": (1 / 3600, 0.0),
    "1000 times as much": (1000.0, 0.0),
    "a 1000th": (0.001, 0.0),
    "100 times as much": (100.0, 0.0),
    "a 100th": (0.01, 0.0),
    "miles to kilometres": (1.609344, 0.0),
    "kilometres to miles": (1 / 1.609344, 0.0),
    "feet to metres": (0.3048, 0.0),
    "metres to feet": (1 / 0.3048, 0.0),
    "inches to millimetres": (25.4, 0.0),
    "millimetres to inches": (1 / 25.4, 0.0),
    "miles per hour to metres per second": (0.44704, 0.0),
    "metres per second to miles per hour": (1 / 0.44704, 0.0),
    "pounds to kilograms": (0.45359237, 0.0),
    "kilograms to pounds": (1 / 0.45359237, 0.0),
    "hectopascals to inches of mercury": (1 / 33.8639, 0.0),
    "inches of mercury to hectopascals": (33.8639, 0.0),
}
_FLOOR = 0.05  # of the spread (or of a factor e): days that hardly differ would make any other day far away
_NEAREST = 0.5  # no day counts as nearer to the usual than this many deviations
_WELL = 1.5  # a conversion explains a change when values turned back lie at most this far out
_Array = NDArray[np.float64]


def distance(quantiles: Sequence[float], before: Sequence[Sequence[float]]) -> float:
    """How far a day lies from the usual, as a multiple of how far the farthest day before lies.

    The usual is each quantile's median over the days before; its deviation is 1.4826 times the median
    absolute deviation (Rousseeuw & Croux 1993). A day lies as far out as the median of its quantiles does, so
    a heavy tail alone moves nothing. The larger of the distances of values and of their logarithms counts,
    since units that differ by a factor shift logarithms.
    """
    day, days = np.asarray(quantiles, float), np.asarray(before, float)
    return max(_far(day, days), _far(_log(day), _log(days), 1.0))


def conversion(quantiles: Sequence[float], before: Sequence[Sequence[float]]) -> str | None:
    """The conversion of units that best explains the day, None when none does."""
    day = np.asarray(quantiles, float)
    back = {name: distance(((day - b) / a).tolist(), before) for name, (a, b) in CONVERSIONS.items()}
    best = min(back, key=lambda name: back[name])
    return best if back[best] <= _WELL else None


def _log(values: _Array) -> _Array:
    return np.log(np.maximum(np.abs(values), 1e-12))


def _far(day: _Array, days: _Array, spread: float | None = None) -> float:
    usual = _median(days)
    deviation = 1.4826 * _median(np.abs(days - usual))
    if spread is None:
        spread = float(_median(days[:, -1] - days[:, 0])) or float(np.max(np.abs(usual)))
    scale = deviation + _FLOOR * spread + 1e-12
    farthest = float(np.max(_median(np.abs(days - usual).T / scale[:, None])))
    return float(_median(np.abs(day - usual) / scale)) / max(farthest, _NEAREST)


def _median(values: _Array) -> _Array:
    """Of each column; `numpy.median` takes ten times as long for so few values."""
    ordered = np.sort(values, axis=0)
    middle: _Array = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return middle

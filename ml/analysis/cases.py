"""The rows that a model was most wrong about, with what it knew of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ml.metrics import Scores

N_CASES = 10


@dataclass(frozen=True)
class Case:
    """One row: key, day (ISO), what came true, what was told of it, and the features' values as text."""

    key: str
    day: str
    label: float
    score: float
    features: Mapping[str, str]


def most_wrong(
    table: pa.Table, key: str, features: Sequence[str], told: tuple[Any, Scores], error: Scores
) -> tuple[Case, ...]:
    """The rows of the greatest error, the greatest first; of equal ones by key.

    `told` is what came true and what was told of it, each of shape (n,) as `error` is.
    """
    n = min(N_CASES, len(error))
    chosen = np.flatnonzero(error >= np.partition(error, -n)[-n])
    rows = table.select([key, "day", *features]).take(chosen).to_pylist()
    found = [
        (
            float(error[place]),
            Case(str(row[key]), str(row["day"]), *_pair(told, place), _texts(row, features)),
        )
        for place, row in zip(chosen, rows, strict=True)
    ]
    found.sort(key=lambda one: (-one[0], one[1].key))
    return tuple(case for _, case in found[:N_CASES])


def _pair(told: tuple[Any, Scores], place: Any) -> tuple[float, float]:
    return float(told[0][place]), float(told[1][place])


def _texts(row: Mapping[str, Any], features: Sequence[str]) -> dict[str, str]:
    return {name: "" if row[name] is None else f"{_plain(row[name])}" for name in features}


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

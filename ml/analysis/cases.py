"""The rows that a model was most wrong about, with what it knew of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ml.metrics import Labels, Scores

N_CASES = 10


@dataclass(frozen=True)
class Case:
    """One row: its key, its day (ISO), its label, its score, and the features' values as text."""

    key: str
    day: str
    label: float
    score: float
    features: Mapping[str, str]


def most_wrong(
    table: pa.Table, key: str, features: Sequence[str], labels: Labels, scores: Scores
) -> tuple[Case, ...]:
    """The rows whose score is farthest from the label, the farthest first; of equal ones by key."""
    error = np.abs(labels - scores)
    farthest = np.argpartition(-error, min(N_CASES, len(error)) - 1)
    least = error[farthest[: min(N_CASES, len(error))]].min()
    rows = table.select([key, "day", *features]).take(np.flatnonzero(error >= least))
    found = [
        Case(str(row[key]), str(row["day"]), float(label), float(score), _texts(row, features))
        for row, label, score in zip(
            rows.to_pylist(), labels[error >= least], scores[error >= least], strict=True
        )
    ]
    return tuple(sorted(found, key=lambda one: (-abs(one.label - one.score), one.key))[:N_CASES])


def _texts(row: Mapping[str, Any], features: Sequence[str]) -> dict[str, str]:
    return {name: "" if row[name] is None else f"{_plain(row[name])}" for name in features}


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

"""A few training rows and their scores, kept beside a model: wherever it is loaded it must score as it did.

Where they are kept is the bundle's matter; what is done about a model that fails is its reader's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.contract import Contract
from ml.engines.protocol import Fitted
from ml.scoring import as_matrix, encode

FILE = "samples.json"
N_ROWS = 32
# Of another machine's C library the last bit of an exponential may be another one.
_RELATIVE = 1e-12


@dataclass(frozen=True)
class Samples:
    """Coded rows, shape (rows, features), and their scores, shape (rows,) or (rows, classes)."""

    matrix: NDArray[np.float64]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, fitted: Fitted, contract: Contract, rows: pa.Table) -> "Samples":
        """What a model says of rows of features."""
        matrix = as_matrix(encode(rows, contract))
        return cls(matrix, fitted.predict(matrix, threads=1))

    def differing(self, scores: NDArray[np.float64]) -> int | None:
        """The first row whose score is another one; None when all are as they were."""
        if scores.shape != self.scores.shape:
            return 0
        same = np.isclose(scores, self.scores, rtol=_RELATIVE, atol=0, equal_nan=False)
        wrong = np.nonzero(~same.reshape(len(scores), -1).all(axis=1))[0]
        return int(wrong[0]) if len(wrong) else None

    def to_json(self) -> str:
        """Numbers to the bit; a missing value is null."""
        matrix = [[None if np.isnan(one) else one for one in row] for row in self.matrix.tolist()]
        return json.dumps({"rows": matrix, "scores": self.scores.tolist()}, allow_nan=False)

    @classmethod
    def from_json(cls, text: bytes) -> "Samples":
        """Raises ValueError for what `to_json` did not write."""
        told: dict[str, Any] = json.loads(text)
        try:
            return cls(np.array(told["rows"], dtype=np.float64), np.array(told["scores"], dtype=np.float64))
        except (KeyError, TypeError) as damage:
            raise ValueError(str(damage)) from damage


def sampled(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Rows at even distances, at most N_ROWS."""
    places = np.unique(np.linspace(0, max(rows.num_rows - 1, 0), min(N_ROWS, rows.num_rows)).astype(np.int64))
    return rows.select(list(columns)).take(pa.array(places))

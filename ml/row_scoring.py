"""Rows of plain values to scores, equal to the bit to what `ml.scoring` makes of the same rows as Arrow.

For one row or a few, where Arrow's own work would be most of it. Where values come from is not its concern.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite, isinf, nan
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.contract import Contract
from ml.engines.protocol import Fitted
from ml.errors import ColumnMissing, InfiniteValues
from ml.scoring import encode

Scores = NDArray[np.float64]
Coder = Callable[[Any], int | None]
_MISSING = nan
Unseen = tuple[int, int, Any]  # place of the row, of the feature, and the value


class RowCoder:
    """Codes rows of values, named and typed as given, for one contract.

    Raises ColumnMissing or ColumnUnfit for columns that the contract can't take, before there is any row.
    """

    def __init__(self, contract: Contract, types: Mapping[str, pa.DataType]) -> None:
        for feature in contract.features:
            if feature.name not in types:
                raise ColumnMissing(contract.model, feature.name, set(types))
        encode(pa.table({name: pa.array([], stored) for name, stored in types.items()}), contract)
        names = list(types)
        self.contract = contract
        self.places = [names.index(feature.name) for feature in contract.features]
        first, *others = self.places
        self._of: Callable[[Sequence[Any]], Sequence[Any]] = (
            itemgetter(*self.places) if others else lambda row: (row[first],)
        )
        self.coders: dict[int, Coder] = {
            place: _coder({one: code for code, one in enumerate(feature.categories)}, types[feature.name])
            for place, feature in enumerate(contract.features)
            if feature.type == "category"
        }
        self._reals = [
            place
            for place, feature in enumerate(contract.features)
            if pa.types.is_floating(types[feature.name])
        ]

    def coded(self, rows: Sequence[Sequence[Any]]) -> tuple[Scores, list[Unseen]]:
        """A matrix of shape (rows, features), and the categories that the model was not trained on.

        Raises InfiniteValues naming the column.
        """
        unseen: list[Unseen] = []
        columns = list(zip(*rows, strict=True))
        found = np.empty((len(rows), len(self.places)))
        for place, at in enumerate(self.places):
            coder = self.coders.get(place)
            if coder is None:
                found[:, place] = columns[at]
                continue
            codes = [coder(value) for value in columns[at]]
            found[:, place] = codes
            if None in codes:
                pairs = enumerate(zip(codes, columns[at], strict=True))
                unseen += [(n, place, one) for n, (code, one) in pairs if code is None and one is not None]
        if np.isinf(found).any():
            self._refuse_infinite(found)
        return found, unseen

    def coded_one(self, row: Sequence[Any]) -> tuple[list[float], list[Unseen]]:
        """The same of one row as plain numbers, NaN where a value is missing."""
        values, unseen = list(self._of(row)), []
        for place, code in self.coders.items():
            value = values[place]
            values[place] = coded = code(value)
            if coded is None and value is not None:
                unseen.append((0, place, value))
        is_finite = isfinite(sum(filter(None, values)))  # which leaves out what is missing, and zeros
        values = [_MISSING if value is None else value for value in values]
        if not is_finite and any(map(isinf, values)):
            self._refuse_infinite(np.array([values], dtype=np.float64))
        return values, unseen

    def _refuse_infinite(self, matrix: Scores) -> None:
        for place in self._reals:
            n_infinite = int(np.isinf(matrix[:, place]).sum())
            if n_infinite:
                raise InfiniteValues(self.contract.features[place].name, n_infinite, len(matrix))


class RowScorer:
    """Scores coded rows; safe to use from several threads."""

    def __init__(self, fitted: Fitted) -> None:
        self.fitted, self._one = fitted, fitted.row_scorer()
        self._of: Callable[[Sequence[float]], list[float]] = getattr(self._one, "of", self._by_array)

    def score(self, matrix: Scores) -> Scores:
        """Scores of shape (n,), for multiclass (n, classes)."""
        if len(matrix) > 1:
            return self.fitted.predict(matrix, threads=1)
        found = self._one(matrix[0])
        return found if len(found) == 1 else found[None, :]

    def score_one(self, values: Sequence[float]) -> list[Any]:
        """The scores of one row: its score, for multiclass those of its classes as one list."""
        found: list[Any] = self._of(values)
        return found if len(found) == 1 else [found]

    def _by_array(self, values: Sequence[float]) -> list[float]:
        found: list[float] = self._one(np.array(values, dtype=np.float64)).tolist()
        return found


def _coder(codes: Mapping[str, int], stored: pa.DataType) -> Coder:
    """The code of a value, as text the way Arrow writes it."""
    if pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_null(stored):
        return codes.get
    if pa.types.is_integer(stored):
        return lambda value: None if value is None else codes.get(str(value))
    if pa.types.is_boolean(stored):
        return lambda value: None if value is None else codes.get("true" if value else "false")
    return lambda value: codes.get(pa.scalar(value, stored).cast(pa.string()).as_py())

"""Feature values to numbers to scores: one path for training, evaluation, the endpoint and batches.

Where the feature values come from is not its concern.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.contract import Contract, Feature, as_text
from ml.engines.protocol import Fitted
from ml.errors import ColumnMissing, ColumnUnfit, InfiniteValues
from ml.verification import read

if TYPE_CHECKING:
    from ml.bundle import Bundle


_FLOAT64 = pa.float64()
_EXACT_BITS = 32
_SCORED_ROWS = 16_384  # at a time: a matrix of all rows would not stay in the cache
_BLOCK_ROWS = 1024  # of a matrix that stays in the cache while its columns are filled: three times as fast


class Scorer:
    """A loaded bundle, ready to score; safe to use from several threads.

    Raises ContractBroken, MadeByOtherEngine, or EngineRefused when the engine can't read the model.
    """

    def __init__(self, bundle: "Bundle", threads: int = 1) -> None:
        self.bundle = bundle
        self.contract = bundle.contract
        self.fitted = read(bundle)
        self._threads = threads

    def score(self, features: pa.Table) -> NDArray[np.float64]:
        """Scores of shape (n,), for multiclass (n, classes); columns are found by name, others ignored.

        Raises ColumnMissing, ColumnUnfit or InfiniteValues, naming the column.
        """
        return score(self.fitted, self.contract, features, self._threads)


def score(fitted: Fitted, contract: Contract, features: pa.Table, threads: int = 1) -> NDArray[np.float64]:
    """Scores of a fitted model, as `Scorer.score` gives."""
    if not features.num_rows:
        return np.empty((0, len(contract.classes)) if contract.classes else 0)
    encoded = encode(features, contract)
    firsts = range(0, encoded.num_rows, _SCORED_ROWS)
    found = [fitted.predict(as_matrix(encoded.slice(one, _SCORED_ROWS)), threads=threads) for one in firsts]
    return np.concatenate(found) if len(found) > 1 else found[0]


def encode(features: pa.Table, contract: Contract) -> pa.Table:
    """The contract's features in its order, each as numbers that float64 holds exactly; null is missing.

    Booleans are 0 and 1, categories their code, a category the model wasn't trained on is missing. Columns of
    float64, and of integers to 32 bits without nulls, are passed on without a copy.
    """
    places = {name: place for place, name in enumerate(features.column_names)}
    for feature in contract.features:
        if feature.name not in places:
            raise ColumnMissing(contract.model, feature.name, set(places))
    coded = [_coded(features.column(places[feature.name]), feature) for feature in contract.features]
    return pa.table(coded, names=[feature.name for feature in contract.features])


def as_matrix(encoded: pa.Table) -> NDArray[np.float64]:
    """Encoded columns as one row-major matrix of shape (rows, columns); null becomes NaN."""
    matrix = np.empty((encoded.num_rows, encoded.num_columns), dtype=np.float64)
    columns = [column.to_numpy() for column in encoded.columns]
    for first in range(0, len(matrix), _BLOCK_ROWS):
        block = matrix[first : first + _BLOCK_ROWS]
        for place, column in enumerate(columns):
            block[:, place] = column[first : first + _BLOCK_ROWS]
    return matrix


def _coded(values: Any, feature: Feature) -> Any:
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), pa.float64())
    if feature.type == "category":
        categories = pa.array(feature.categories, pa.string())
        codes = pc.index_in(as_text(values), value_set=categories)
        return codes.cast(pa.float32()) if codes.null_count else codes
    if not _takes(feature, values.type):
        raise ColumnUnfit(feature.name, str(values.type), feature.type)
    if pa.types.is_integer(values.type) and values.type.bit_width <= _EXACT_BITS and not values.null_count:
        return values
    numbers = values if values.type == _FLOAT64 else values.cast(_FLOAT64)
    if pa.types.is_floating(values.type) and _may_be_infinite(numbers):
        n_infinite = pc.sum(pc.is_inf(numbers)).as_py() or 0
        if n_infinite:
            raise InfiniteValues(feature.name, n_infinite, len(values))
    return numbers


def _may_be_infinite(numbers: Any) -> bool:
    """Whether a value is, or what stands in memory for a missing one: quicker than to be sure."""
    for chunk in numbers.chunks:
        _, data = chunk.buffers()
        if data is not None:
            held = np.frombuffer(data, np.float64, len(chunk), chunk.offset * _FLOAT64.byte_width)
            if np.isinf(held).any():
                return True
    return False


def _takes(feature: Feature, stored: Any) -> bool:
    if feature.type == "boolean":
        return bool(pa.types.is_boolean(stored))
    return bool(pa.types.is_integer(stored) or pa.types.is_floating(stored) or pa.types.is_decimal(stored))

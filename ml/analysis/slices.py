"""How good a model is on parts of the rows: by each value of the columns that a declaration names.

What is done about a part that is worse does not belong here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.analysis.intervals import Draws, Interval, interval_of
from ml.analysis.outcomes import outcomes
from ml.analysis.resampled import RESAMPLED, Values
from ml.metrics import Metric

_MISSING = "missing"
_MOST_VALUES = 40
_N_RANGES = 4
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Slice:
    """Rows with one value of a column, or with values of one of four ranges of equal size.

    `worse_by` is by how much the metric is worse than on all rows, in its unit, negative where it is better;
    its interval is of this difference, where the metric can be put together from days. With one class alone
    there is neither.
    """

    column: str
    value: str
    n_rows: int
    label_mean: float
    score_mean: float
    metric: float | None
    worse_by: float | None
    interval: Interval | None

    @property
    def is_worse(self) -> bool:
        """Whether it is worse than the whole, with a probability of 0.975."""
        return self.interval is not None and self.interval.low > 0


@dataclass(frozen=True)
class Judging:
    """All rows with draws of their days, and the metric that slices are judged by."""

    draws: Draws
    metric: Metric

    @cached_property
    def whole(self) -> tuple[float, Values]:
        """The metric over all rows, and in each draw."""
        rows, name = self.draws.rows, self.metric.name
        drawn = self.draws.values(name) if name in RESAMPLED[self.draws.task] else np.empty(0)
        return self.metric.compute(rows.labels, rows.scores), drawn

    def worse_by(self, some: Places) -> tuple[float, float, Interval | None]:
        """The metric over some rows, how much it is worse than over all, and the interval of that."""
        rows = self.draws.rows
        here = self.metric.compute(rows.labels[some], rows.scores[some])
        sign = 1 if self.metric.higher_is_better else -1
        if self.metric.name not in RESAMPLED[self.draws.task]:
            return here, sign * (self.whole[0] - here), None
        difference = self.whole[1] - self.draws.values(self.metric.name, some)
        return here, sign * (self.whole[0] - here), interval_of(sign * difference)


def slices(table: pa.Table, columns: Sequence[str], judging: Judging, min_rows: int) -> tuple[Slice, ...]:
    """Every slice of at least `min_rows` rows, the worst first: those with the surest shortfall."""
    found = [
        _slice(column, name, rows, judging)
        for column in columns
        for name, rows in parts(table[column])
        if len(rows) >= min_rows
    ]
    return tuple(sorted(found, key=_surest))


def parts(values: Any) -> Iterator[tuple[str, Places]]:
    """The rows of each value of a column; of each of four ranges where it is a number of many values."""
    column = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    missing = np.asarray(column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False))
    if missing.any():
        yield _MISSING, np.flatnonzero(missing)
    if _is_number(column.type) and pc.count_distinct(column, mode="only_valid").as_py() > _MOST_VALUES:
        yield from _ranges(column.cast(pa.float64()).to_numpy(zero_copy_only=False), ~missing)
        return
    coded = column.dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    for code, value in enumerate(coded.dictionary.to_pylist()):
        if value is not None and value == value:  # noqa: PLR0124 NaN is not itself
            yield str(value), np.flatnonzero(codes == code)


def _ranges(values: NDArray[np.float64], known: NDArray[np.bool_]) -> Iterator[tuple[str, Places]]:
    bounds = np.unique(np.quantile(values[known], np.arange(1, _N_RANGES) / _N_RANGES))
    place = np.searchsorted(bounds, values, side="left")
    for n in range(len(bounds) + 1):
        rows = np.flatnonzero(known & (place == n))
        if len(rows):
            yield _range_name(bounds, n), rows


def _range_name(bounds: NDArray[np.float64], n: int) -> str:
    if n == 0:
        return f"up to {bounds[0]:g}"
    if n == len(bounds):
        return f"above {bounds[-1]:g}"
    return f"above {bounds[n - 1]:g} to {bounds[n]:g}"


def _slice(column: str, value: str, some: Places, judging: Judging) -> Slice:
    labels, scores = judging.draws.rows.labels[some], judging.draws.rows.scores[some]
    is_defined = judging.metric.is_defined(labels)
    here, worse_by, interval = judging.worse_by(some) if is_defined else (None, None, None)
    came_true, told = outcomes(judging.draws.task, labels, scores)
    means = float(came_true.mean()), float(told.mean())
    return Slice(column, value, len(some), *means, here, worse_by, interval)


def _surest(one: Slice) -> tuple[float, str, str]:
    return (-one.interval.low if one.interval else np.inf, one.column, one.value)


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))

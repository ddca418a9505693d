"""What people ask of an evaluation beyond its metrics: how sure, where worse, at what cost, wrong about what.

The metrics themselves, and the comparison with the champion, are the evaluation's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from ml.analysis.cases import Case, most_wrong
from ml.analysis.intervals import Interval, drawn, intervals
from ml.analysis.outcomes import outcomes, wrongness
from ml.analysis.slices import Judging, Slice, slices
from ml.analysis.thresholds import Threshold, thresholds
from ml.declaration import ModelDeclaration
from ml.metrics import Labels, Scores, metric_of

_SLICE_DRAWS = 300


@dataclass(frozen=True)
class Analysis:
    """Intervals by metric; slices, the worst first; cost by threshold (binary); the rows most wrong."""

    intervals: Mapping[str, Interval]
    slices: tuple[Slice, ...]
    thresholds: tuple[Threshold, ...]
    cases: tuple[Case, ...]

    @property
    def worse(self) -> tuple[Slice, ...]:
        """The slices on which the model is surely worse than on all rows."""
        return tuple(one for one in self.slices if one.is_worse)


def analyse(
    declaration: ModelDeclaration, test: pa.Table, labels: Labels, scores: Scores, days: NDArray[Any]
) -> Analysis:
    """Look at the test rows; `labels`, `scores` and `days` are of shape (n,), in the rows' order."""
    metric = metric_of(declaration.task, declaration.gate.against_champion.metric)
    task, declared = declaration.task, declaration.slices
    draws = drawn(task, labels, scores, days)
    fewer = replace(draws, counts=draws.counts[:_SLICE_DRAWS])
    told, error = outcomes(task, labels, scores), wrongness(task, labels, scores)
    return Analysis(
        intervals=intervals(draws),
        slices=slices(test, declared.columns, Judging(fewer, metric), declared.min_rows) if declared else (),
        thresholds=thresholds(labels, scores, declaration.costs) if task == "binary" else (),
        cases=most_wrong(test, declaration.key, declaration.features.columns, told, error),
    )

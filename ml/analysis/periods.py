"""How an evaluation goes over time: by day, or by week when there are many days."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.analysis.outcomes import outcomes
from ml.metrics import Labels, Scores, first_metric

_DAILY_UNTIL_DAYS = 92


@dataclass(frozen=True)
class Period:
    """A day, or a week when there are many days.

    `metric` is the task's first; None where all labels were the same.
    """

    first_day: date
    last_day: date
    n_rows: int
    score_mean: float
    label_mean: float
    metric: float | None


def periods(task: str, labels: Labels, scores: Scores, days: NDArray[Any]) -> tuple[Period, ...]:
    return tuple(_period(task, labels, scores, rows, span) for span, rows in _by_period(days))


def _by_period(days: NDArray[Any]) -> Iterator[tuple[list[date], NDArray[np.intp]]]:
    order = np.argsort(days, kind="stable")
    present, starts = np.unique(days[order], return_index=True)
    groups = list(zip(present.tolist(), np.split(order, starts[1:]), strict=True))
    weekly = (present[-1] - present[0]).astype(int) > _DAILY_UNTIL_DAYS
    for _, members in groupby(groups, lambda group: _monday(group[0]) if weekly else group[0]):
        of_period = list(members)
        yield [day for day, _ in of_period], np.concatenate([rows for _, rows in of_period])


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _period(task: str, labels: Labels, scores: Scores, rows: NDArray[np.intp], span: list[date]) -> Period:
    here, metric = labels[rows], first_metric(task)
    came_true, told = outcomes(task, here, scores[rows])
    return Period(
        first_day=span[0],
        last_day=span[-1],
        n_rows=len(rows),
        score_mean=float(told.mean()),
        label_mean=float(came_true.mean()),
        metric=metric.compute(here, scores[rows]) if metric.is_defined(here) else None,
    )

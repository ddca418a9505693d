"""How good models are on days after their training, by day and over the newest window, with intervals.

They are held against what the champion was on the days it was judged by. Whether that calls for a retrain is
the policy's matter, what was really asked of the endpoint `ml.live_quality`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import hypot, inf
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import canonical
from ml.analysis.intervals import drawn, interval_of
from ml.analysis.resampled import RESAMPLED
from ml.analysis.slices import Judging, Slice, slices
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.errors import HeadwaterError
from ml.labels import labels_of
from ml.metrics import Metric, metric_of
from ml.shadow import matrix_of

Role = Literal["champion", "candidate", "baseline"]
_DRAWS = 300


@dataclass(frozen=True)
class Told:
    """What a model said of some rows: key, `day`, `score`, and the label beside it (null: not known yet)."""

    role: Role
    version: str
    contract: Contract
    rows: pa.Table


@dataclass(frozen=True)
class Value:
    """The metric of a model over the labelled rows of some days; None where it is not defined on them.

    `low` and `high` bound its 95 % interval by drawing days again; None for one day.
    """

    role: Role
    version: str
    first_day: date
    last_day: date
    n_days: int
    n_rows: int
    n_known: int
    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def open_share(self) -> float:
        """The part whose label is not known yet."""
        return 1 - self.n_known / self.n_rows if self.n_rows else 0.0


@dataclass(frozen=True)
class Quality:
    """Of one model, as of an edition. `judged_by` is the champion on the days of its evaluation; `recent` are
    all on the newest `window_days` after those, `slices` the champion's there, the worst first.
    """

    model: str
    metric: str
    higher_is_better: bool
    window_days: int
    edition: int
    judged_by: Value | None
    by_day: tuple[Value, ...]
    recent: tuple[Value, ...]
    windows: tuple[Value, ...]
    slices: tuple[Slice, ...]

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Quality":
        """Read what `to_json` gave."""
        return canonical.loads(cls, text)

    def fallen(self, window: Value, max_drop: float) -> bool:
        """Whether the champion is surely worse over a whole window than when judged, by more than so.

        Surely: with a probability of 0.975, both values being as uncertain as their intervals say.
        """
        judged = self.judged_by
        if judged is None or judged.value is None or window.value is None or window.n_days < self.window_days:
            return False
        width = hypot(*(_half(one) for one in (judged, window)))
        drop = judged.value - window.value if self.higher_is_better else window.value - judged.value
        return drop - width > max_drop


def _half(value: Value) -> float:
    """Half of the width of the interval; infinite where there is none."""
    if value.low is None or value.high is None:
        return inf
    return (value.high - value.low) / 2


def quality(
    declaration: ModelDeclaration,
    edition: int,
    told: Sequence[Told],
    judged_on: tuple[date, date],
    features: pa.Table | None = None,
) -> Quality:
    """Measure what models said; the champion first. `judged_on` are the days of its evaluation.

    `features` are the rows of the champion's newest window with the columns of slices, by key.
    """
    metric = metric_of(declaration.task, declaration.gate.against_champion.metric)
    plan = declaration.retrain.quality
    n_days, n_windows = (plan.window_days, plan.for_days) if plan else (14, 1)
    champion = told[0]
    of = _Measured(declaration, metric)
    judged = of.over(champion, *judged_on)
    after = [_after(one, judged_on[1]) for one in told]
    known = [day for day, n in _labelled_days(after[0]).items() if n]
    ends = known[-n_windows:] if known else []
    windows = [of.over(after[0], _start(known, end, n_days), end) for end in ends]
    recent = [of.over(one, _start(known, known[-1], n_days), known[-1]) for one in after] if known else []
    return Quality(
        model=declaration.name,
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        window_days=n_days,
        edition=edition,
        judged_by=judged if judged.n_rows else None,
        by_day=tuple(of.over(one, day, day) for one in after for day in _labelled_days(one)),
        recent=tuple(one for one in recent if one.n_rows),
        windows=tuple(windows),
        slices=of.slices(after[0], recent[0], features) if recent and features is not None else (),
    )


@dataclass(frozen=True)
class _Measured:
    declaration: ModelDeclaration
    metric: Metric

    def over(self, told: Told, first: date, last: date) -> Value:
        days = told.rows["day"]
        within = pc.and_(pc.greater_equal(days, pa.scalar(first)), pc.less_equal(days, pa.scalar(last)))
        rows = told.rows.filter(within)
        known, labels = self.labelled(told, rows)
        n_days = pc.count_distinct(known["day"]).as_py()
        named = (told.role, told.version, first, last, n_days, rows.num_rows, known.num_rows)
        if labels is None:
            return Value(*named, None)
        scores = matrix_of(known)
        value = float(self.metric.compute(labels, scores))
        if first == last or self.metric.name not in RESAMPLED[self.declaration.task]:
            return Value(*named, value)
        sure = interval_of(
            drawn(self.declaration.task, labels, scores, _days(known)).values(self.metric.name)
        )
        return Value(*named, value, *((sure.low, sure.high) if sure else (None, None)))

    def labelled(self, told: Told, rows: pa.Table) -> tuple[pa.Table, NDArray[Any] | None]:
        """Rows whose label is known, and the labels; None where the metric is not defined on them."""
        known = rows.filter(rows[self.declaration.label.column].is_valid())
        if not known.num_rows:
            return known, None
        try:
            labels = labels_of(self.declaration, known, "live", told.contract.classes)
        except HeadwaterError:  # one class, or one that the model does not know
            return known, None
        return known, labels if self.metric.is_defined(labels) else None

    def slices(self, told: Told, window: Value, features: pa.Table) -> tuple[Slice, ...]:
        declared = self.declaration.slices
        days = told.rows["day"]
        rows = told.rows.filter(pc.greater_equal(days, pa.scalar(window.first_day)))
        known, labels = self.labelled(told, rows)
        if declared is None or labels is None:
            return ()
        at = pc.index_in(known["key"], value_set=features["key"])
        beside = features.take(at.combine_chunks())
        draws = drawn(self.declaration.task, labels, matrix_of(known), _days(known), _DRAWS)
        return slices(beside, declared.columns, Judging(draws, self.metric), declared.min_rows)


def _after(told: Told, day: date) -> Told:
    rows = told.rows.filter(pc.greater(told.rows["day"], pa.scalar(day)))
    return Told(told.role, told.version, told.contract, rows)


def _labelled_days(told: Told) -> Mapping[date, int]:
    """By day, in order, how many rows have a label."""
    label = told.rows.column_names[-1]
    counted = told.rows.group_by("day").aggregate([(label, "count")]).to_pylist()
    return {one["day"]: one[f"{label}_count"] for one in sorted(counted, key=lambda one: one["day"])}


def _start(known: Sequence[date], end: date, n_days: int) -> date:
    """The first of the newest `n_days` labelled days until `end`."""
    until = [day for day in known if day <= end]
    return until[-n_days:][0] if until else end - timedelta(days=n_days - 1)


def _days(rows: pa.Table) -> NDArray[Any]:
    return np.asarray(rows["day"].to_numpy())

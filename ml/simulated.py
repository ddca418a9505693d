"""How a stretch of answers compares with what other ways of running the same model would have said.

Every way is scored on the features that the answers were given with. How the days were lived through is the
caller's matter.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import canonical
from ml.analysis.intervals import interval_of
from ml.bundle import Bundle
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.engines.protocol import Fitted
from ml.errors import EmptySplit
from ml.feature_definition import FeatureDefinition
from ml.labelled_rows import LabelledRows
from ml.labels import labels_of
from ml.lake.published import Published
from ml.metrics import metric_of
from ml.row_scoring import RowCoder
from ml.split import split_days
from ml.training import fit
from ml.training_set import select
from ml.verification import read

Scores = NDArray[np.float64]
_DRAWS, _SEED = 1000, 20_130_101


@dataclass(frozen=True)
class Way:
    """One way of running the model: its metric by day over answers whose outcome is known, and what it cost.

    `beside` is how much better the loop was, with its 95 % interval by days; positive is better.
    """

    name: str
    value: float
    n_trainings: int
    training_s: float
    beside: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Noticed:
    """Something that was told while the days went by: on which day first, where, and what."""

    day: date
    where: str
    text: str
    n_days: int


@dataclass(frozen=True)
class Simulated:
    """What came of it; `faults` as they were asked for.

    Medians over the days: `features_s` from landing until the endpoint looks up what landed, `seconds_a_day`
    until the loop has turned, a training included where there was one.
    """

    model: str
    metric: str
    first_day: date
    last_day: date
    n_asked: int
    n_answered: int
    n_known: int
    ways: tuple[Way, ...]
    noticed: tuple[Noticed, ...]
    faults: tuple[str, ...]
    decisions: tuple[str, ...]
    seconds_a_day: float
    features_s: float | None

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)


@dataclass(frozen=True)
class Trained:
    """What scores, how rows are coded for it, and how long its training took."""

    fitted: Fitted
    contract: Contract
    seconds: float


@dataclass(frozen=True)
class Answers:
    """Logged rows with their day, label and score, in one order; `values` are the features as they were."""

    days: NDArray[Any]
    values: pa.Table
    labels: NDArray[Any]
    scores: Scores

    @classmethod
    def of(cls, declaration: ModelDeclaration, classes: tuple[str, ...], rows: pa.Table) -> "Answers":
        """Of rows with `day`, the features, the label and the score; those without a label are left out."""
        known = rows.filter(rows[declaration.label.column].is_valid()).sort_by("day")
        labels = labels_of(declaration, known, "simulated", classes)
        told = known["score"].to_numpy()
        return cls(np.asarray(known["day"].to_numpy()), known, labels, np.asarray(told, dtype=np.float64))

    def scored(self, of_day: Callable[[date], Trained | None]) -> Scores:
        """By whatever model is there on each day; NaN where there is none."""
        found = np.full(len(self.days), np.nan)
        for day in np.unique(self.days):
            model = of_day(day.astype(date))
            places = np.flatnonzero(self.days == day)
            if model is not None:
                found[places] = _score(model, self.values.take(pa.array(places)))
        return found


def compared(
    declaration: ModelDeclaration,
    answers: Answers,
    loop: tuple[int, float],
    others: dict[str, tuple[Scores, int, float]],
) -> tuple[Way, ...]:
    """The loop, then each other way (its scores, trainings and seconds), on rows that all have scored.

    By day, and the mean over days by their rows: where the model changes in between, ranks within all rows
    would compare the levels of two models.
    """
    metric = metric_of(declaration.task, declaration.gate.against_champion.metric)
    sign = 1 if metric.higher_is_better else -1
    known = np.isfinite(answers.scores)
    for scores, _, _ in others.values():
        known &= np.isfinite(scores)
    days = [np.flatnonzero(known & (answers.days == day)) for day in np.unique(answers.days)]
    days = [rows for rows in days if len(rows) and metric.is_defined(answers.labels[rows])]
    if not days:
        return ()
    weights = np.array([len(rows) for rows in days], dtype=np.float64)

    def by_day(scores: Scores) -> Scores:
        return np.array([metric.compute(answers.labels[rows], scores[rows]) for rows in days])

    def mean(values: Scores) -> float:
        return float(np.average(values, weights=weights))

    ours = by_day(answers.scores)
    drawn = np.random.default_rng(_SEED).integers(0, len(days), (_DRAWS, len(days)))
    ways = [Way("the loop", mean(ours), *loop)]
    for name, (scores, n, seconds) in others.items():
        gains = sign * (ours - by_day(scores))
        sure = interval_of(np.average(gains[drawn], weights=weights[drawn], axis=1))
        bounds = (sure.low, sure.high) if sure and len(days) > 1 else (None, None)
        ways.append(Way(name, mean(by_day(scores)), n, seconds, mean(gains), *bounds))
    return tuple(ways)


def as_trained(bundle: Bundle) -> Trained:
    """A version as it is kept."""
    return Trained(read(bundle), bundle.contract, 0.0)


def trained_daily(
    published: Published,
    declaration: ModelDeclaration,
    definition: FeatureDefinition,
    days: Sequence[date],
    told: Callable[[date], None] = lambda _: None,
) -> Iterator[tuple[date, Trained]]:
    """For each day a model trained on what was labelled before it, split as declared; the newest takes over
    unasked. A day that can't be trained for is left out.
    """
    source = LabelledRows(published, published.edition(), select(declaration))
    labels = source.labels()
    labelled = source.labelled_days(labels)
    for day in days:
        try:
            span, tested = split_days(
                declaration.name, declaration.split, [one for one in labelled if one < day]
            )
        except EmptySplit:
            continue
        rows = [source.join(labels, span, tested)[0]]
        began = time.monotonic()
        learned = fit(rows.pop(), declaration, definition)
        yield day, Trained(learned.scoring, learned.contract, time.monotonic() - began)
        told(day)


def _score(model: Trained, rows: pa.Table) -> Scores:
    names = [feature.name for feature in model.contract.features]
    types = {name: rows.schema.field(name).type for name in names}
    values = list(zip(*(rows[name].to_pylist() for name in names), strict=True))
    coder = RowCoder(model.contract, types)
    return np.asarray(model.fitted.predict(coder.coded(values)[0], threads=0))


def with_outcomes(published: Published, declaration: ModelDeclaration, rows: pa.Table) -> pa.Table:
    """Logged rows (`key`, `day`, features, score), each entity's first answer, with the label beside it."""
    label = declaration.label
    days = rows["day"].to_pylist()
    found = published.read(
        label.table,
        edition=published.edition(),
        columns=[declaration.key, label.column],
        first_day=min(days) if days else None,
    )
    at = pc.index_in(rows["key"], value_set=found[declaration.key].cast(pa.string()))
    return rows.append_column(label.column, found[label.column].take(at))

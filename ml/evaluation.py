"""How good a model is on rows it hasn't seen, alone and beside the champion on the same rows.

Whether that is good enough is the gate's matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import canonical
from ml.analysis.analysis import Analysis, analyse
from ml.analysis.changes import Change, changes
from ml.engines.protocol import Importance
from ml.metrics import Labels, Metric, Scores, calibration_groups, compute_all, metric_of, scikit_learn
from ml.paired import Paired, compare
from ml.rows import rows_sha256
from ml.scoring import Scorer
from ml.training import binary_label

_CURVE_POINTS = 200
_DAILY_UNTIL_DAYS = 92


@dataclass(frozen=True)
class Bin:
    """One of the equal groups by rising score: what was predicted and what came true."""

    n_rows: int
    score_mean: float
    label_mean: float


@dataclass(frozen=True)
class Curve:
    """Points of a curve, thinned to at most 200."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Period:
    """A day, or a week when there are many days; no ROC AUC where only one class occurred."""

    first_day: date
    last_day: date
    n_rows: int
    score_mean: float
    label_mean: float
    roc_auc: float | None


@dataclass(frozen=True)
class Comparison:
    """Candidate and champion on the same rows: the test rows of days after both were trained.

    `n_left_out` test rows are of days the champion was trained on. `paired` is the difference by days, or why
    there is none.
    """

    first_day: date
    last_day: date
    n_rows: int
    n_left_out: int
    candidate: Mapping[str, float]
    champion: Mapping[str, float]
    champion_periods: tuple[Period, ...]
    paired: Paired | str = "it was not measured"


@dataclass(frozen=True)
class Evaluation:
    """One version on one set of test rows.

    `champion` is the version it stood beside (None: there was none). Unless that is this version itself,
    `comparison` holds, or `not_comparable` says why there is none. `changes` are what is other than in it.
    """

    model: str
    version: str
    task: str
    label: str
    rows_sha256: str
    first_day: date
    last_day: date
    n_days: int
    n_rows: int
    label_mean: float
    metrics: Mapping[str, float]
    calibration: tuple[Bin, ...]
    roc: Curve
    pr: Curve
    periods: tuple[Period, ...]
    importances: tuple[Importance, ...]
    all_missing: tuple[str, ...]
    analysis: Analysis
    champion: str | None
    changes: tuple[Change, ...]
    comparison: Comparison | None
    not_comparable: str | None

    @property
    def id(self) -> str:
        """16 hex digits; the same evaluation made again has the same."""
        return canonical.digest(self.to_json())[:16]

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Evaluation":
        """Read what `to_json` gave."""
        return canonical.loads(cls, text)


def evaluate(
    scorer: Scorer,
    test: pa.Table,
    *,
    champion: Scorer | None = None,
    champion_test: pa.Table | None = None,
    against: str | None = None,
) -> Evaluation:
    """Score the test rows and measure; beside a champion, the difference by the metric `against` as well.

    `against` is the one that the model was declared with unless given. `champion_test` are the same rows with
    the champion's features, where these aren't among the candidate's (`training_set.rows_for`).

    Raises OneClass when the test rows hold only one class.
    """
    declaration = scorer.bundle.declaration
    labels = binary_label(declaration, test, "test")
    days = _days(test)
    scores = scorer.score(test)
    beside: Comparison | str | None = None
    if champion and champion.bundle.version != scorer.bundle.version:
        theirs = test if champion_test is None else champion_test
        if not theirs[declaration.key].equals(test[declaration.key]):
            beside = "the champion's feature table doesn't hold the same rows"
        else:
            metric = against or declaration.gate.against_champion.metric
            beside = _compare(champion, theirs, labels, scores, days, against=metric)
    roc, pr = _curves(labels, scores)
    return Evaluation(
        model=declaration.name,
        version=scorer.bundle.version,
        task=declaration.task,
        label=declaration.label.column,
        rows_sha256=rows_sha256(test),
        first_day=days.min().item(),
        last_day=days.max().item(),
        n_days=len(np.unique(days)),
        n_rows=test.num_rows,
        label_mean=float(labels.mean()),
        metrics=compute_all(declaration.task, labels, scores),
        calibration=tuple(
            Bin(len(rows), float(scores[rows].mean()), float(labels[rows].mean()))
            for rows in calibration_groups(scores)
        ),
        roc=roc,
        pr=pr,
        periods=_periods(declaration.task, labels, scores, days),
        importances=scorer.fitted.importances(),
        all_missing=scorer.contract.all_missing,
        analysis=analyse(declaration, test, labels, scores, days),
        champion=champion.bundle.version if champion else None,
        changes=changes(scorer.bundle, champion.bundle) if champion else (),
        comparison=beside if isinstance(beside, Comparison) else None,
        not_comparable=beside if isinstance(beside, str) else None,
    )


def _compare(
    champion: Scorer, test: pa.Table, labels: Labels, scores: Scores, days: NDArray[Any], *, against: str
) -> Comparison | str:
    task = champion.bundle.declaration.task
    trained_until = date.fromisoformat(champion.bundle.receipt["rows"]["last_day"])
    missing = [f.name for f in champion.contract.features if f.name not in test.column_names]
    if missing:
        return f"the champion needs {', '.join(map(repr, missing))}, which the test rows don't have"
    unseen = days > np.datetime64(trained_until)
    if not unseen.any():
        return f"the champion was trained until {trained_until}, which leaves none of the test days"
    if labels[unseen].all() or not labels[unseen].any():
        return f"the {unseen.sum():,} test rows after {trained_until}, the champion's last, are of one class"
    champion_scores = champion.score(test.filter(pa.array(unseen)))
    return Comparison(
        first_day=days[unseen].min().item(),
        last_day=days[unseen].max().item(),
        n_rows=int(unseen.sum()),
        n_left_out=int((~unseen).sum()),
        candidate=compute_all(task, labels[unseen], scores[unseen]),
        champion=compute_all(task, labels[unseen], champion_scores),
        champion_periods=_periods(task, labels[unseen], champion_scores, days[unseen]),
        paired=_paired(
            metric_of(task, against), labels[unseen], (scores[unseen], champion_scores), days[unseen]
        ),
    )


def _paired(
    metric: Metric, labels: Labels, scores: tuple[Scores, Scores], days: NDArray[Any]
) -> Paired | str:
    """How much better the first scores are than the second."""

    def gain(kept: NDArray[np.bool_]) -> float:
        here = labels[kept]
        if (here == here[0]).all():
            return float("nan")
        ours, theirs = (metric.compute(here, one[kept]) for one in scores)
        return -metric.shortfall(ours, theirs)

    return compare(metric.name, days, gain)


def _days(test: pa.Table) -> NDArray[Any]:
    return np.asarray(test["day"].cast(pa.date32()).to_numpy()).astype("datetime64[D]")


def _curves(labels: Labels, scores: Scores) -> tuple[Curve, Curve]:
    false_positive, true_positive, _ = scikit_learn().roc_curve(labels, scores)
    precision, recall, _ = scikit_learn().precision_recall_curve(labels, scores)
    return _thinned(false_positive, true_positive), _thinned(recall[::-1], precision[::-1])


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> Curve:
    """Points evenly spaced along the curve, first and last kept."""
    along = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)) / 4)))
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], _CURVE_POINTS)))
    return Curve(tuple(x[kept].round(5).tolist()), tuple(y[kept].round(5).tolist()))


def _periods(task: str, labels: Labels, scores: Scores, days: NDArray[Any]) -> tuple[Period, ...]:
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
    here, predicted = labels[rows], scores[rows]
    both = here.any() and not here.all()
    return Period(
        first_day=span[0],
        last_day=span[-1],
        n_rows=len(rows),
        score_mean=float(predicted.mean()),
        label_mean=float(here.mean()),
        roc_auc=metric_of(task, "roc_auc").compute(here, predicted) if both else None,
    )

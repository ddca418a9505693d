"""How good a model is on rows it hasn't seen, alone and beside the champion on the same rows.

Whether that is good enough is the gate's matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import canonical
from ml.analysis.analysis import Analysis, analyse
from ml.analysis.changes import Change, changes
from ml.analysis.contributions import Contributions, contributions
from ml.analysis.curves import Bin, Confusion, Curve, bins, confusion, errors, roc_and_pr
from ml.analysis.outcomes import outcomes
from ml.analysis.periods import Period, periods
from ml.analysis.uncalibrated import Uncalibrated, uncalibrated
from ml.engines import BASELINE
from ml.engines.protocol import Fitted, Importance
from ml.errors import MadeByOtherEngine
from ml.labels import labels_of
from ml.metrics import Labels, Metric, Scores, compute_all, first_metric, metric_of
from ml.paired import Paired, compare
from ml.rows import rows_sha256
from ml.scoring import Scorer, score


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
class Baseline:
    """What a plain model makes of the same rows, trained on the candidate's rows (`ml.baseline`)."""

    engine: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """One version on one set of test rows.

    `label_mean` is of the label; of a multiclass one the share of the most frequent class. Calibration is of
    the probability given to the most probable class there, and not of a ranking. `roc` and `pr` are of binary
    labels, `errors` (prediction less label, by the share of rows below) of numbers, `confusion` of classes.

    `champion` is the version it stood beside (None: there was none). Unless that is this version itself,
    `comparison` holds, or `not_comparable` says why there is none. `changes` are what is other than in it.
    `contributions` are of features to the scores of some test rows, or why there are none.
    `uncalibrated` is what the scores were before a declared calibration.
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
    baseline: Baseline | None
    calibration: tuple[Bin, ...]
    roc: Curve | None
    pr: Curve | None
    errors: Curve | None
    confusion: Confusion | None
    periods: tuple[Period, ...]
    importances: tuple[Importance, ...]
    all_missing: tuple[str, ...]
    analysis: Analysis
    champion: str | None
    changes: tuple[Change, ...]
    comparison: Comparison | None
    not_comparable: str | None
    contributions: Contributions | str = "they were not measured"
    uncalibrated: Uncalibrated | None = None

    @property
    def id(self) -> str:
        """16 hex digits; the same evaluation made again has the same."""
        return canonical.digest(self.to_json())[:16]

    def beside_unread(self, refusal: MadeByOtherEngine) -> "Evaluation":
        """The same beside a champion that is there but can't be read by the engine that is installed."""
        reason = f"the champion was fitted by {refusal.made_by}, and {refusal.installed} is installed"
        return replace(self, champion=refusal.version, not_comparable=reason)

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
    baseline: Fitted | None = None,
) -> Evaluation:
    """Score the test rows and measure; beside a champion, the difference by the metric `against` as well.

    `against` is the one that the model was declared with unless given. `baseline` is a plain model of the
    same contract (`ml.baseline`). `champion_test` are the same rows with the champion's features, where these
    aren't among the candidate's (`training_set.rows_for`).

    Raises LabelUnfit, or OneClass when all test rows have the same label.
    """
    declaration, task = scorer.bundle.declaration, scorer.bundle.declaration.task
    labels = labels_of(declaration, test, "test", scorer.contract.classes)
    days = _days(test)
    scores = scorer.score(test)
    beside: Comparison | str | None = None
    if champion and champion.bundle.version != scorer.bundle.version:
        theirs = test if champion_test is None else champion_test
        if not theirs[declaration.key].equals(test[declaration.key]):
            beside = "the champion's feature table doesn't hold the same rows"
        elif _predicts(champion) != _predicts(scorer):
            beside = "the champion predicts another kind of label, or other classes"
        else:
            metric = against or declaration.gate.against_champion.metric
            beside = _compare(champion, theirs, labels, scores, days, against=metric)
    roc, pr = roc_and_pr(labels, scores) if task == "binary" else (None, None)
    plain = None if baseline is None else score(baseline, scorer.contract, test)
    return Evaluation(
        model=declaration.name,
        version=scorer.bundle.version,
        task=task,
        label=declaration.label.column,
        rows_sha256=rows_sha256(test),
        first_day=days.min().item(),
        last_day=days.max().item(),
        n_days=len(np.unique(days)),
        n_rows=test.num_rows,
        label_mean=_base(task, labels),
        metrics=compute_all(task, labels, scores),
        baseline=None if plain is None else Baseline(BASELINE, compute_all(task, labels, plain)),
        calibration=() if task == "ranking" else bins(*outcomes(task, labels, scores)),
        roc=roc,
        pr=pr,
        errors=errors(scores - labels) if task == "regression" else None,
        confusion=confusion(scorer.contract.classes, labels, scores) if task == "multiclass" else None,
        periods=periods(task, labels, scores, days),
        importances=scorer.fitted.importances(),
        all_missing=scorer.contract.all_missing,
        analysis=analyse(declaration, test, labels, scores, days),
        champion=champion.bundle.version if champion else None,
        changes=changes(scorer.bundle, champion.bundle) if champion else (),
        comparison=beside if isinstance(beside, Comparison) else None,
        not_comparable=beside if isinstance(beside, str) else None,
        uncalibrated=uncalibrated(scorer.fitted, scorer.contract, test, labels),
        contributions=contributions(scorer.fitted, scorer.contract, test),
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
    if not first_metric(task).is_defined(labels[unseen]):
        return f"the {unseen.sum():,} test rows after {trained_until}, the champion's last, are of one class"
    champion_scores = champion.score(test.filter(pa.array(unseen)))
    return Comparison(
        first_day=days[unseen].min().item(),
        last_day=days[unseen].max().item(),
        n_rows=int(unseen.sum()),
        n_left_out=int((~unseen).sum()),
        candidate=compute_all(task, labels[unseen], scores[unseen]),
        champion=compute_all(task, labels[unseen], champion_scores),
        champion_periods=periods(task, labels[unseen], champion_scores, days[unseen]),
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
        if not metric.is_defined(here):
            return float("nan")
        ours, theirs = (metric.compute(here, one[kept]) for one in scores)
        return -metric.shortfall(ours, theirs)

    return compare(metric.name, days, gain)


def _predicts(scorer: Scorer) -> tuple[str, tuple[str, ...]]:
    return scorer.contract.task, scorer.contract.classes


def _days(test: pa.Table) -> NDArray[Any]:
    return np.asarray(test["day"].cast(pa.date32()).to_numpy()).astype("datetime64[D]")


def _base(task: str, labels: Labels) -> float:
    if task == "multiclass":
        return float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    return float((labels[:, 0] if task == "ranking" else labels).mean())

"""How a declaration would have done: trained before each past period, tested on it, one fold after another.

Which periods is declared; nothing is registered or promoted here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml import canonical
from ml.analysis.intervals import Interval, drawn, intervals
from ml.analysis.outcomes import outcomes
from ml.baseline import fit_plain
from ml.declaration import ModelDeclaration
from ml.declared_backtest import BacktestPlan
from ml.engines import BASELINE
from ml.errors import CalibrationUnfit, EmptySplit, FeaturesEmpty, OneClass
from ml.feature_definition import FeatureDefinition
from ml.labelled_rows import E, LabelledRows, Published
from ml.labels import labels_of
from ml.metrics import compute_all, first_metric
from ml.scoring import score
from ml.split import Span
from ml.training import Found, Learned, fit
from ml.training_set import select

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Measured:
    """One fold's test rows: means, metrics with their intervals, and what a plain model makes of them."""

    n_rows: int
    score_mean: float
    label_mean: float
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    baseline: Mapping[str, float]


@dataclass(frozen=True)
class Fold:
    """Trained on `n_trained` rows of the first span, tested on the second; or why that was not possible."""

    name: str
    trained: Span
    tested: Span
    n_trained: int
    outcome: Measured | str

    def __str__(self) -> str:
        if isinstance(self.outcome, str):
            return f"{self.name}: {self.outcome}"
        name, value = next(iter(self.outcome.metrics.items()))
        return f"{self.name}: {name} {value:.4f} on {self.outcome.n_rows:,} rows"


@dataclass(frozen=True)
class Backtest:
    """All folds, the oldest first. `code` names what a model is made by; `parameters` are from there."""

    model: str
    task: str
    code: str
    engine: str
    parameters: str
    edition: int
    plan: BacktestPlan
    baseline: str
    folds: tuple[Fold, ...]

    @property
    def measured(self) -> tuple[tuple[Fold, Measured], ...]:
        """The folds that could be trained and tested."""
        return tuple((one, one.outcome) for one in self.folds if isinstance(one.outcome, Measured))

    @property
    def spread(self) -> tuple[float, float, float] | None:
        """Least, mean and greatest of the task's first metric over folds; None where none was measured."""
        name = first_metric(self.task).name
        values = [outcome.metrics[name] for _, outcome in self.measured]
        return (min(values), float(np.mean(values)), max(values)) if values else None

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Backtest":
        """Read what `to_json` gave."""
        return canonical.loads(cls, text)


def backtest(
    published: Published[E],
    declaration: ModelDeclaration,
    definition: FeatureDefinition,
    *,
    code: str = "",
    codes: Mapping[str, str] | None = None,
    found: Found | None = None,
    threads: int = 0,
    told: Callable[[Fold], None] = lambda _: None,
) -> Backtest:
    """Train and test every declared fold on rows of the newest edition; `told` hears of each.

    `found` are parameters that a search found. Days meet as those of training and test do. Raises EmptySplit
    when there is no fold, and what reading and training raise; a fold that lacks rows, classes or values is
    told with its reason.
    """
    plan = declaration.backtest
    assert plan is not None  # noqa: S101 the caller asks because it is declared
    edition = published.edition()
    source = LabelledRows(published, edition, select(declaration), codes or {})
    labels = source.labels()
    days = source.labelled_days(labels)
    spans = list(_spans(plan, days))[-(plan.folds or 0) :]
    if not spans:
        rule = ", ".join(f"{name} {value}" for name, value in plan.model_dump(exclude_none=True).items())
        raise EmptySplit(declaration.name, "backtest", rule, f"{len(days)} labelled days")
    whole = Span(days[0], days[-1])
    to_train, to_test = source.join(labels, whole, whole)
    folds = []
    for name, trained, tested in spans:
        parts = _within(to_train, trained), _within(to_test, tested)
        outcome = _outcome(declaration, definition, *parts, found=found, threads=threads)
        folds.append(Fold(name, trained, tested, parts[0].num_rows, outcome))
        told(folds[-1])
    return Backtest(
        model=declaration.name,
        task=declaration.task,
        code=code,
        engine=declaration.engine.name,
        parameters=f"found by search {found.study}" if found else "as declared",
        edition=edition.id,
        plan=plan,
        baseline=BASELINE,
        folds=tuple(folds),
    )


def _spans(plan: BacktestPlan, days: Sequence[date]) -> Iterator[tuple[str, Span, Span]]:
    """Name, days to train on and days to test on of each period that has enough days before it."""
    periods: dict[str, list[date]] = {}
    for day in days:
        monday = day - timedelta(days=day.weekday())
        periods.setdefault(f"{day:%Y-%m}" if plan.every == "month" else str(monday), []).append(day)
    for name, tested in periods.items():
        before = [day for day in days if day < tested[0]]
        if plan.train_days:
            before = [day for day in before if day >= tested[0] - plan.train_days * _DAY]
        if len(before) >= plan.min_train_days:
            yield name, Span(before[0], before[-1]), Span(tested[0], tested[-1])


def _outcome(
    declaration: ModelDeclaration,
    definition: FeatureDefinition,
    train: pa.Table,
    test: pa.Table,
    *,
    found: Found | None,
    threads: int,
) -> Measured | str:
    # A feature whose source began later has no value yet in the older folds.
    features = declaration.features.model_copy(update={"may_be_missing": declaration.features.columns})
    lenient = declaration.model_copy(update={"features": features})
    if not train.num_rows or not test.num_rows:
        return f"there are {train.num_rows} rows to train on and {test.num_rows} to test on"
    try:
        learned = fit(train, lenient, definition, threads=threads, found=found)
        return _measured(lenient, learned, train, test)
    except (CalibrationUnfit, EmptySplit, FeaturesEmpty, OneClass) as lack:
        return str(lack)


def _measured(declaration: ModelDeclaration, learned: Learned, train: pa.Table, test: pa.Table) -> Measured:
    task, contract = declaration.task, learned.contract
    labels = labels_of(declaration, test, "test", contract.classes)
    scores = score(learned.scoring, contract, test)
    plain = score(fit_plain(declaration, contract, train), contract, test)
    days: Any = np.asarray(test["day"].to_numpy()).astype("datetime64[D]")
    came_true, said = outcomes(task, labels, scores)
    return Measured(
        n_rows=test.num_rows,
        score_mean=float(said.mean()),
        label_mean=float(came_true.mean()),
        metrics=compute_all(task, labels, scores),
        intervals=intervals(drawn(task, labels, scores, days)),
        baseline=compute_all(task, labels, plain),
    )


def _within(rows: pa.Table, span: Span) -> pa.Table:
    days = rows["day"]
    return rows.filter(
        pc.and_(
            pc.greater_equal(days, pa.scalar(span.first_day)), pc.less_equal(days, pa.scalar(span.last_day))
        )
    )

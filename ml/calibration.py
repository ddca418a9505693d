"""From a score to a probability that comes true as often as it says: fitted once, stored as text, applied by
NumPy.

Whether it does any good is the evaluation's matter. Scoring needs no scikit-learn, and one row scores the
same to the bit alone and among others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import canonical
from ml.declaration import ModelDeclaration
from ml.engines.protocol import Fitted, Importance, RowScorer
from ml.errors import CalibrationUnfit, EmptySplit
from ml.lean_import import without

Matrix = NDArray[np.float64]
_SMALLEST = 1e-15  # of a probability, before its log odds are taken
_PENALTY = 1e-6  # keeps the sigmoid finite where the scores tell the labels apart without a fault


@dataclass(frozen=True)
class Sigmoid:
    """Log odds x become slope * x + intercept (Platt 1999)."""

    slope: float
    intercept: float

    def apply(self, odds: Matrix) -> Matrix:
        """Probabilities, of the same shape."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * odds + self.intercept))))


@dataclass(frozen=True)
class Isotonic:
    """A rising curve through points of log odds and share, straight between, level beyond both ends."""

    odds: tuple[float, ...]
    shares: tuple[float, ...]

    def apply(self, odds: Matrix) -> Matrix:
        """Probabilities, of the same shape."""
        x, y = np.array(self.odds), np.array(self.shares)
        at = np.clip(odds, x[0], x[-1])
        place = np.clip(np.searchsorted(x, at, side="right") - 1, 0, max(0, len(x) - 2))
        after = np.minimum(place + 1, len(x) - 1)
        along = (at - x[place]) / np.where(after > place, x[after] - x[place], 1.0)
        return np.asarray(y[place] + along * (y[after] - y[place]))


@dataclass(frozen=True)
class Calibrator:
    """The step of a binary label, or of each class, with the days and the number of rows it was fitted on."""

    task: str
    method: str
    steps: tuple[Sigmoid | Isotonic, ...]
    first_day: date
    last_day: date
    n_rows: int

    def apply(self, odds: Matrix) -> Matrix:
        """Probabilities from log odds of shape (n,), for multiclass (n, classes)."""
        if self.task == "binary":
            return self.steps[0].apply(odds)
        told = [step.apply(odds[:, place]) for place, step in enumerate(self.steps)]
        total = np.zeros(len(odds))
        for one in told:
            total = total + one
        return np.stack([one / total for one in told], axis=1)

    def to_json(self) -> str:
        """Canonical JSON; numbers are exact."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Calibrator":
        """Read what `to_json` gave; raises ValueError when it is no such text."""
        return canonical.loads(cls, text)


@dataclass(frozen=True)
class Calibrated:
    """A fitted model with the step after it; raw scores and what adds to them are the model's own."""

    fitted: Fitted
    calibrator: Calibrator

    @property
    def features(self) -> tuple[str, ...]:
        """The model's."""
        return self.fitted.features

    def predict(self, values: Matrix, *, threads: int) -> Matrix:
        """Calibrated probabilities."""
        return self.calibrator.apply(log_odds(self.fitted, self.calibrator.task, values, threads))

    def raw(self, values: Matrix, *, threads: int) -> Matrix:
        """The model's, before calibration."""
        return self.fitted.raw(values, threads=threads)

    def row_scorer(self, *, raw: bool = False) -> RowScorer:
        """The model's, and the step after it."""
        if raw:
            return self.fitted.row_scorer(raw=True)
        if self.calibrator.task == "binary":
            odds = self.fitted.row_scorer(raw=True)
            return lambda values: self.calibrator.apply(odds(values))
        shares = self.fitted.row_scorer()
        return lambda values: self.calibrator.apply(_odds_of(shares(values)[None, :]))[0]

    def explain(self, values: Matrix, *, threads: int) -> Matrix:
        """Of the raw score."""
        return self.fitted.explain(values, threads=threads)

    def save(self) -> str:
        """The model alone; the step has a text of its own."""
        return self.fitted.save()

    def importances(self) -> tuple[Importance, ...]:
        """The model's."""
        return self.fitted.importances()


def log_odds(fitted: Fitted, task: str, values: Matrix, threads: int) -> Matrix:
    """What is calibrated: the raw score of a binary label; of classes, of each against all others."""
    if task == "binary":
        return fitted.raw(values, threads=threads)
    return _odds_of(fitted.predict(values, threads=threads))


def _odds_of(probabilities: Matrix) -> Matrix:
    shares = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(shares / (1 - shares)))


def held_back(declaration: ModelDeclaration, train: pa.Table) -> tuple[pa.Table, pa.Table | None]:
    """The rows the engine is fitted on, and those of the newest days, which the calibration is fitted on.

    None where nothing is declared. Days meet as those of training and test do. Raises EmptySplit.
    """
    plan = declaration.calibration
    if plan is None:
        return train, None
    days: list[date] = sorted(pc.unique(train["day"]).to_pylist())
    if len(days) <= plan.days:
        of = f"{len(days)} training days ({days[0]} to {days[-1]})"
        raise EmptySplit(declaration.name, "calibration", f"calibration.days {plan.days}", of)
    is_newer = pc.greater_equal(train["day"], pa.scalar(days[-plan.days], train["day"].type))
    return train.filter(pc.invert(is_newer)), train.filter(is_newer)


def calibrate(
    declaration: ModelDeclaration, fitted: Fitted, values: Matrix, labels: NDArray[Any], days: Any
) -> Calibrator:
    """Fit the declared step on rows that the model was not fitted on; `days` are the rows' days (Arrow).

    Labels are those of `ml.labels`. Raises CalibrationUnfit where a class does not occur in the rows.
    """
    plan, task = declaration.calibration, declaration.task
    assert plan is not None  # noqa: S101 the caller asks because it is declared
    odds = log_odds(fitted, task, values, threads=1)
    columns = [odds] if task == "binary" else list(odds.T)
    first, last = pc.min_max(days).as_py().values()
    steps: list[Sigmoid | Isotonic] = []
    for place, column in enumerate(columns):
        is_it = labels.astype(bool) if task == "binary" else labels == place
        if is_it.all() or not is_it.any():
            raise CalibrationUnfit(declaration.name, place, len(is_it), plan.days)
        steps.append(_FITTERS[plan.method](column, is_it))
    return Calibrator(task, plan.method, tuple(steps), first, last, len(labels))


def versions() -> Mapping[str, str]:
    """Of the libraries that a calibration is fitted with."""
    return {"scikit-learn": version("scikit-learn"), "scipy": version("scipy")}


def _sigmoid(odds: Matrix, is_it: NDArray[np.bool_]) -> Sigmoid:
    with without("pandas", "matplotlib"):
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        solver = LogisticRegression(C=1 / _PENALTY, solver="newton-cholesky", tol=1e-8, max_iter=200)
        solver.fit(odds[:, None], is_it)
    return Sigmoid(float(solver.coef_[0, 0]), float(solver.intercept_[0]))


def _isotonic(odds: Matrix, is_it: NDArray[np.bool_]) -> Isotonic:
    with without("pandas", "matplotlib"):
        from sklearn.isotonic import IsotonicRegression

    # A share of 0 or 1 says never or always, of which so many rows can't be sure.
    least = 1 / (len(is_it) + 2)
    found = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(odds, is_it)
    return Isotonic(tuple(found.X_thresholds_.tolist()), tuple(found.y_thresholds_.tolist()))


_FITTERS: Mapping[str, Callable[[Matrix, NDArray[np.bool_]], Sigmoid | Isotonic]] = {
    "sigmoid": _sigmoid,
    "isotonic": _isotonic,
}

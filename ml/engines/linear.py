"""A linear model by scikit-learn: logistic regression for classes, ridge regression for numbers and grades.

Saved as JSON and scored by NumPy, a column at a time: scoring needs no scikit-learn, and one row scores the
same to the bit alone and among others. Numbers are standardized and missing ones have a weight of their own;
every category has a weight, as far as it is frequent; the rest, unseen and missing ones share one.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml import canonical
from ml.engines.protocol import Importance, Parameter, RowScorer, Target, Watch, parameter_types
from ml.errors import EngineRefused
from ml.lean_import import without

Matrix = NDArray[np.float64]
_TOLERANCE = 1e-3  # of the gradient: a baseline need not be exact
_NEVER = -50.0  # log odds of a class of which no row was fitted


@dataclass(frozen=True)
class Column:
    """One feature; its weights are lists of one number an output.

    A number x adds `slope` * (x - `mean`) / `scale`; a category adds the weight of its code. What is missing,
    or has no weight of its own, adds `missing`. `spread` is how much it varies the score, per output.
    """

    name: str
    mean: float
    scale: float
    slope: list[float]
    weights: Mapping[int, list[float]] | None
    missing: list[float]
    spread: list[float]

    def adds(self, values: Matrix, output: int) -> Matrix:
        """What it adds to an output of each row, of shape (n,)."""
        missing = np.isnan(values)
        if self.weights is None:
            known = np.where(missing, self.mean, values)
            return np.where(
                missing, self.missing[output], (known - self.mean) * (self.slope[output] / self.scale)
            )
        found = np.full(len(values), self.missing[output])
        for code, weight in self.weights.items():
            found[values == code] = weight[output]
        return found


@dataclass(frozen=True)
class FittedLinear:
    """Weights, and all that is needed to score with them; `has_converged` is of the solver."""

    task: str
    columns: tuple[Column, ...]
    intercepts: list[float]
    has_converged: bool

    @cached_property
    def features(self) -> tuple[str, ...]:
        """As they were fitted."""
        return tuple(column.name for column in self.columns)

    def predict(self, values: Matrix, *, threads: int) -> Matrix:
        """Probabilities, values or ranking scores."""
        raw = self.raw(values, threads=threads)
        if self.task == "binary":
            return np.asarray(1 / (1 + np.exp(-raw)))
        if self.task == "multiclass":
            odds = np.exp(raw - raw.max(axis=1, keepdims=True))
            return np.asarray(odds / odds.sum(axis=1, keepdims=True))
        return raw

    def raw(self, values: Matrix, *, threads: int) -> Matrix:  # noqa: ARG002 one thread does
        """The weighted sum, feature by feature."""
        sums = [self._sum(values, output) for output in range(len(self.intercepts))]
        return np.stack(sums, axis=1) if self.task == "multiclass" else sums[0]

    def explain(self, values: Matrix, *, threads: int) -> Matrix:  # noqa: ARG002 one thread does
        """What each feature adds, and the intercept."""
        outputs = [self._parts(values, output) for output in range(len(self.intercepts))]
        return np.stack(outputs, axis=1) if self.task == "multiclass" else outputs[0]

    def row_scorer(self, *, raw: bool = False) -> RowScorer:
        """The same path: what it takes is NumPy's calls."""
        score = self.raw if raw else self.predict
        return lambda values: score(values[None, :], threads=1).reshape(-1)

    def save(self) -> str:
        """JSON."""
        return canonical.dumps(self)

    def importances(self) -> tuple[Importance, ...]:
        """Share of the spread that each feature gives to scores of training rows."""
        spreads = [float(np.sum(column.spread)) for column in self.columns]
        total = sum(spreads) or 1.0
        found = [
            Importance(name, spread / total, None)
            for name, spread in zip(self.features, spreads, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: (-one.gain_share, one.feature)))

    def _sum(self, values: Matrix, output: int) -> Matrix:
        total = np.full(len(values), self.intercepts[output])
        for place, column in enumerate(self.columns):
            total += column.adds(values[:, place], output)
        return total

    def _parts(self, values: Matrix, output: int) -> Matrix:
        added = [column.adds(values[:, place], output) for place, column in enumerate(self.columns)]
        return np.stack([*added, np.full(len(values), self.intercepts[output])], axis=1)


class Linear:
    """The engine; it draws nothing, so that every seed gives the same weights."""

    name = "linear"
    file = "coefficients.json"
    reads: frozenset[str] = frozenset()
    tasks = frozenset({"binary", "multiclass", "ranking", "regression"})
    # Of the training rows at most `max_rows` are fitted, evenly spaced.
    parameters = parameter_types(integers="max_categories max_iter max_rows", reals="l2")

    def versions(self) -> Mapping[str, str]:
        """What solves, and what it solves with."""
        return {"scikit-learn": version("scikit-learn"), "scipy": version("scipy")}

    def fit(
        self,
        features: Any,
        target: Target,
        *,
        categories: tuple[str, ...],
        seed: int,  # noqa: ARG002 nothing is drawn
        parameters: Mapping[str, Parameter],
        threads: int,  # noqa: ARG002 one: sums over rows would come out otherwise with more
        watch: Watch | None = None,
    ) -> FittedLinear:
        """Standardize, solve, and give the weights back to the features."""
        told: dict[str, Any] = {
            "l2": 1.0,
            "max_categories": 20,
            "max_iter": 200,
            "max_rows": 300_000,
            **parameters,
        }
        step = -(-features.num_rows // max(1, told["max_rows"]))
        columns = {
            name: features[name].to_numpy()[::step].astype(np.float64) for name in features.column_names
        }
        design = [
            _Design.of(name, values, told["max_categories"] if name in categories else None)
            for name, values in columns.items()
        ]
        matrix = _dense(design, columns)
        try:
            weights, intercepts, has_converged = _solve(matrix, target, step, told)
        except ValueError as refusal:
            raise EngineRefused(self.name, "fit", str(refusal)) from refusal
        ends = np.cumsum([one.width for one in design])
        parts = np.split(weights, ends[:-1], axis=1)
        spread = matrix.std(axis=0)
        fitted = FittedLinear(
            target.task,
            tuple(
                one.column(part, (np.abs(part) * own).sum(axis=1))
                for one, part, own in zip(design, parts, np.split(spread, ends[:-1]), strict=True)
            ),
            intercepts,
            has_converged,
        )
        if watch is not None:
            rows = np.column_stack([column.to_numpy() for column in watch.features.columns])
            watch.step(1, fitted.predict(rows, threads=1))
        return fitted

    def load(self, text: str) -> FittedLinear:
        """Read the JSON."""
        try:
            fitted = canonical.loads(FittedLinear, text)
        except ValueError as refusal:
            raise EngineRefused(self.name, "load", _first(refusal)) from refusal
        if fitted.task not in self.tasks:
            raise EngineRefused(self.name, "load", f"it is of task {fitted.task!r}")
        return fitted


@dataclass(frozen=True)
class _Design:
    """How one feature becomes columns of the matrix: of a number, of each frequent category, of missing."""

    name: str
    mean: float
    scale: float
    codes: tuple[int, ...] | None
    has_missing: bool

    @classmethod
    def of(cls, name: str, values: Matrix, max_categories: int | None) -> "_Design":
        known = values[~np.isnan(values)]
        if max_categories is not None:
            codes, counts = np.unique(known, return_counts=True)
            frequent = codes[np.argsort(-counts, kind="stable")[:max_categories]]
            return cls(name, 0.0, 1.0, tuple(sorted(int(code) for code in frequent)), has_missing=False)
        spread = float(known.std()) if len(known) else 0.0
        mean = float(known.mean()) if len(known) else 0.0
        # A constant is no reason to divide by the rounding of its mean.
        scale = spread if spread > abs(mean) * 1e-12 else 1.0
        return cls(name, mean, scale, None, 0 < len(known) < len(values))

    @property
    def width(self) -> int:
        return len(self.codes) if self.codes is not None else 1 + self.has_missing

    def fill(self, values: Matrix, into: Matrix) -> None:
        if self.codes is not None:
            for place, code in enumerate(self.codes):
                into[:, place] = values == code
            return
        missing = np.isnan(values)
        into[:, 0] = (np.where(missing, self.mean, values) - self.mean) / self.scale
        if self.has_missing:
            into[:, 1] = missing

    def column(self, weights: Matrix, spread: Matrix) -> Column:
        outputs = len(weights)
        none = [0.0] * outputs
        if self.codes is not None:
            own = {code: weights[:, place].tolist() for place, code in enumerate(self.codes)}
            return Column(self.name, self.mean, self.scale, none, own, none, spread.tolist())
        missing = weights[:, 1].tolist() if self.has_missing else none
        return Column(
            self.name, self.mean, self.scale, weights[:, 0].tolist(), None, missing, spread.tolist()
        )


def _dense(design: Sequence[_Design], columns: Mapping[str, Matrix]) -> Matrix:
    """All features as one matrix, row by row as scikit-learn wants it."""
    matrix = np.empty((len(columns[design[0].name]), sum(one.width for one in design)))
    place = 0
    for one in design:
        one.fill(columns[one.name], matrix[:, place : place + one.width])
        place += one.width
    return matrix


def _solve(
    matrix: Matrix, target: Target, step: int, told: Mapping[str, Any]
) -> tuple[Matrix, list[float], bool]:
    """Weights of shape (outputs, columns), intercepts, and whether the solver came to an end."""
    with without("pandas", "matplotlib"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, Ridge
        from threadpoolctl import threadpool_limits

    goal = target.values[::step]
    with threadpool_limits(1), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if target.task in ("regression", "ranking"):
            solver = Ridge(alpha=told["l2"]).fit(matrix, goal)
        else:
            name = "newton-cholesky" if target.task == "binary" else "lbfgs"
            strength = 1 / told["l2"] if told["l2"] > 0 else np.inf
            options = {"solver": name, "max_iter": told["max_iter"], "tol": _TOLERANCE}
            solver = LogisticRegression(C=strength, **options).fit(matrix, goal)
    has_converged = not any(issubclass(one.category, ConvergenceWarning) for one in said)
    weights, intercepts = np.atleast_2d(solver.coef_), np.atleast_1d(solver.intercept_)
    if target.task == "multiclass":
        weights, intercepts = _by_class(target.n_classes, solver.classes_.astype(int), weights, intercepts)
    return weights, intercepts.tolist(), has_converged


def _by_class(n_classes: int, found: Any, weights: Matrix, intercepts: Matrix) -> tuple[Matrix, Matrix]:
    """An output for every class: of two, scikit-learn has one output; of one that is not fitted, none."""
    if len(found) == len(intercepts) + 1:
        weights, intercepts = np.vstack([0 * weights, weights]), np.append(0.0, intercepts)
    every = np.zeros((n_classes, weights.shape[1])), np.full(n_classes, _NEVER)
    every[0][found], every[1][found] = weights, intercepts
    return every


def _first(refusal: ValueError) -> str:
    return str(refusal).partition("\n")[0] if not isinstance(refusal, json.JSONDecodeError) else str(refusal)

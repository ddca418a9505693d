"""What every engine must do, and nothing about any one of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Parameter = bool | int | float | str
ParameterType = type[bool] | type[int] | type[float] | type[str]


def parameter_types(
    *, booleans: str = "", integers: str = "", reals: str = "", words: str = ""
) -> Mapping[str, ParameterType]:
    """The type of each parameter, from names with spaces between them."""
    kinds: tuple[tuple[ParameterType, str], ...] = (
        (bool, booleans),
        (int, integers),
        (float, reals),
        (str, words),
    )
    return {name: kind for kind, names in kinds for name in names.split()}


@dataclass(frozen=True)
class Target:
    """What is to be learned; `values` of shape (n,) is free of NaN.

    binary: 0 and 1; multiclass: codes 0 to `n_classes` - 1; regression: numbers; ranking: whole grades from
    0, with `groups` the numbers of adjacent rows that are ranked against each other.
    """

    task: str
    values: NDArray[np.float64]
    n_classes: int = 0
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Watch:
    """Looks on while an engine fits: `step(n_done, scores)` with the scores of other rows, as of `predict`.

    `features` are those rows as an Arrow table of float64 columns. What `step` raises ends the fit and is
    raised by it. An engine that has no steps calls it once, at the end.
    """

    features: Any
    step: Callable[[int, NDArray[np.float64]], None]
    every: int = 10


@dataclass(frozen=True)
class Importance:
    """What one feature contributed while fitting: share of all gain (0 to 1), and number of splits if any."""

    feature: str
    gain_share: float
    n_splits: int | None


class RowScorer(Protocol):
    """Scores one row; safe to call from several threads."""

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`values` of shape (features,), contiguous; scores of shape (1,), for multiclass (classes,)."""
        ...


class Fitted(Protocol):
    """A fitted model; equal text from `save` means equal predictions to the bit.

    Values are of shape (n, features): NaN is missing, categories are codes. An unseen code, and a category
    that is missing, are the same.
    """

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the values' columns."""
        ...

    def predict(self, values: NDArray[np.float64], *, threads: int) -> NDArray[np.float64]:
        """Scores of shape (n,), for multiclass probabilities of shape (n, classes)."""
        ...

    def raw(self, values: NDArray[np.float64], *, threads: int) -> NDArray[np.float64]:
        """What is predicted before it becomes a probability (log odds), of the same shape as `predict`."""
        ...

    def explain(self, values: NDArray[np.float64], *, threads: int) -> NDArray[np.float64]:
        """What each feature adds to the raw score, and in the last place what all rows begin with.

        Of shape (n, features + 1), for multiclass (n, classes, features + 1); sums over the last axis to
        `raw`. Raises EngineRefused when the model can't be taken apart.
        """
        ...

    def row_scorer(self, *, raw: bool = False) -> "RowScorer":
        """The same as `predict`, or `raw`, to the bit, for one row at a time and in microseconds."""
        ...

    def save(self) -> str:
        """The model as text that `Engine.load` takes; free of times, paths and thread counts."""
        ...

    def importances(self) -> tuple[Importance, ...]:
        """Every feature, greatest gain first."""
        ...


class Engine(Protocol):
    """One way of fitting. Its object holds no state."""

    @property
    def name(self) -> str: ...

    @property
    def file(self) -> str:
        """The name of its text among a bundle's files; no other engine has the same."""
        ...

    @property
    def tasks(self) -> frozenset[str]: ...

    @property
    def parameters(self) -> Mapping[str, ParameterType]:
        """What a declaration may set, and its type; what the platform sets itself is not among them."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Library versions that a fit depends on, for the receipt."""
        ...

    @property
    def reads(self) -> frozenset[str]:
        """Those of its libraries that also read and score a model: their major version must be the fit's."""
        ...

    def fit(
        self,
        features: Any,
        target: Target,
        *,
        categories: tuple[str, ...],
        seed: int,
        parameters: Mapping[str, Parameter],
        threads: int,
        watch: Watch | None = None,
    ) -> Fitted:
        """Fit on an Arrow table of float64 columns (null is missing).

        Raises EngineRefused when the library does not take the parameters.
        """
        ...

    def load(self, text: str) -> Fitted:
        """Read what `Fitted.save` gave; raises EngineRefused when it is no such text."""
        ...

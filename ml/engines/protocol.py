"""What every engine must do, and nothing about any one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Parameter = bool | int | float | str


@dataclass(frozen=True)
class Importance:
    """What one feature contributed while fitting: share of all gain (0 to 1), and number of splits."""

    feature: str
    gain_share: float
    n_splits: int


class Fitted(Protocol):
    """A fitted model; equal text from `save` means equal predictions to the bit."""

    def predict(self, values: NDArray[np.float64], *, threads: int) -> NDArray[np.float64]:
        """Scores of shape (n,) for values of shape (n, features); NaN is missing, categories are codes."""
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
    def tasks(self) -> frozenset[str]: ...

    @property
    def parameters(self) -> frozenset[str]:
        """Names a declaration may set; what the platform sets itself is not among them."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Library versions that a fit depends on, for the receipt."""
        ...

    def fit(
        self,
        features: Any,
        label: NDArray[np.float32],
        *,
        task: str,
        categories: tuple[str, ...],
        seed: int,
        parameters: Mapping[str, Parameter],
        threads: int,
    ) -> Fitted:
        """Fit on an Arrow table of float64 columns (null is missing) and a label of shape (n,).

        Raises EngineRefused when the library does not take the parameters.
        """
        ...

    def load(self, text: str) -> Fitted:
        """Read what `Fitted.save` gave; raises EngineRefused when it is no such text."""
        ...

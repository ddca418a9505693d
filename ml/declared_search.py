"""What a search may try, and for how long, as declared.

How it is searched is `ml.search`'s matter.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from ml.declared import Declared, parameter_problems
from ml.engines import ENGINES
from ml.engines.protocol import Parameter
from ml.errors import Problem

_Value = StrictBool | StrictInt | StrictFloat | StrictStr
_Number = StrictInt | StrictFloat


def _not_empty(space: Mapping[str, Any]) -> Mapping[str, Any]:
    if not space:
        raise ValueError(
            "the search space is empty; name at least one parameter, as in num_leaves: {low: 15, high: 255}"
        )
    return space


class Range(Declared):
    """The values of one parameter: from `low` to `high`, both included, or one of `choices`.

    With `log` small values are tried as finely as large ones; `step` is the distance of neighbours.
    """

    low: _Number | None = None
    high: _Number | None = None
    log: bool = False
    step: _Number | None = Field(default=None, gt=0)
    choices: tuple[_Value, ...] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        numbers = (self.low, self.high)
        if self.choices is not None:
            if any(one is not None for one in (*numbers, self.step)) or self.log:
                raise ValueError("give either choices, or low and high, not both")
            if not self.choices:
                raise ValueError("the choices are empty; name at least one value")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} must be above 0 with log: true")
        if self.log and self.step is not None:
            raise ValueError("give either log or step, not both")
        return self

    @property
    def values(self) -> tuple[Parameter, ...]:
        """All values that are written out."""
        given = self.choices if self.choices is not None else (self.low, self.high, self.step)
        return tuple(value for value in given if value is not None)

    def holds(self, value: Parameter) -> bool:
        """Whether a value is one that may be tried."""
        if self.choices is not None:
            return value in self.choices
        if not isinstance(value, int | float) or self.low is None or self.high is None:
            return False
        steps = (value - self.low) / self.step if self.step else 0
        return self.low <= value <= self.high and abs(steps - round(steps)) < 1e-9  # noqa: PLR2004


class Search(Declared):
    """Parameters to be found by trying: over which values, by which metric, and for how long.

    Trials are fitted on the older training days and judged on the newest `holdout_days` of them; test rows
    are never seen. At least one of `trials` and `minutes` ends it. With `prune` a trial that does worse than
    half of those before it, after as many steps, is given up.
    """

    metric: str
    space: Annotated[dict[str, Range], AfterValidator(_not_empty)]
    trials: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    holdout_days: int = Field(default=14, ge=1)
    prune: bool = True

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.trials is None and self.minutes is None:
            raise ValueError("give a budget: trials, or minutes, or both")
        return self

    def problems(self, engine: str) -> Iterator[Problem]:
        """What is wrong with the space for an engine."""
        given = {name: values.values for name, values in self.space.items()}
        yield from parameter_problems("search.space", engine, given)
        for name in self.space.keys() & ENGINES[engine].parameters.keys():
            if ENGINES[engine].parameters[name] in (bool, str) and self.space[name].choices is None:
                yield Problem(f"search.space.{name}", None, f"{name} needs choices: it is no number")

"""The part of a declaration that says over which past periods the model is judged as if it were then.

How that is done is `backtest`'s matter.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ml.declared import Declared, one_of
from ml.errors import Problem

PERIODS = ("month", "week")


class BacktestPlan(Declared):
    """A fold for each calendar month or week: trained on the days before it, tested on its days.

    Trained on the newest `train_days` before it, or on all where that is left out; periods before which there
    are fewer than `min_train_days` days are no folds. `folds` keeps the newest so many.
    """

    every: Annotated[str, one_of(PERIODS, "period"), Field(json_schema_extra={"enum": list(PERIODS)})]
    train_days: int | None = Field(default=None, ge=1)
    min_train_days: int = Field(default=56, ge=1)
    folds: int | None = Field(default=None, ge=1)

    def problems(self) -> Iterator[Problem]:
        """What contradicts itself."""
        if self.train_days is not None and self.train_days < self.min_train_days:
            told = f"is below backtest.min_train_days, {self.min_train_days}: no fold fits"
            yield Problem("backtest.train_days", self.train_days, told)

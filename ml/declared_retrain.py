"""The part of a declaration that says when a model is trained again, and when that is held back.

Whether it is due now is `ml.retrain`'s matter.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from ml.declared import Declared
from ml.declared_drift import Share

Days = Annotated[int, Field(ge=1)]


class QualityTrigger(Declared):
    """The champion's first metric over the newest `window_days` labelled days after its training.

    It has fallen where it is surely worse than in the champion's evaluation by more than `max_drop`, both
    being as uncertain as their 95 % intervals say, on `for_days` days in a row.
    """

    max_drop: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    window_days: Annotated[int, Field(ge=2)] = 14
    for_days: Days = 2


class DriftTrigger(Declared):
    """Features that make up `min_share` of the champion's gain are not as they were, `for_days` in a row."""

    min_share: Share
    for_days: Days = 2


class Budget(Declared):
    """At most so many retrains within so many days."""

    retrains: Annotated[int, Field(ge=1)]
    within_days: Days


class Retrain(Declared):
    """What makes a retrain due: any of the first four. What holds it back: any of the last three.

    Days are those of the data. Training would have to gain `after_new_days` days; the champion was trained
    until `max_age_days` ago; its quality has fallen; its features drift. A retrain for whatever reason must
    gain `min_new_days`, follows the one before by `cool_down_days` at least, and is within the budget.
    """

    after_new_days: Days | None = None
    max_age_days: Days | None = None
    quality: QualityTrigger | None = None
    drift: DriftTrigger | None = None
    min_new_days: Days = 1
    cool_down_days: Annotated[int, Field(ge=0)] = 0
    budget: Budget | None = None

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        reasons = (self.after_new_days, self.max_age_days, self.quality, self.drift)
        if not any(reasons):
            raise ValueError("give at least one of after_new_days, max_age_days, quality, drift")
        if (self.quality or self.drift) and not self.cool_down_days:
            raise ValueError("quality and drift can call for a retrain every day: give cool_down_days")
        if self.budget and self.budget.retrains > self.budget.within_days:
            raise ValueError("the budget has more retrains than days")
        return self

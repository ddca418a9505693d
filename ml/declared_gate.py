"""The part of a declaration that says what a candidate must reach, and when it replaces the champion.

Whether one does is `gate`'s matter.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from ml.declared import Declared, one_of
from ml.declared_replay import ReplayPlan
from ml.metrics import METRICS

METRIC_NAMES = tuple(sorted({name for metrics in METRICS.values() for name in metrics}))

MetricName = Annotated[
    str, one_of(METRIC_NAMES, "metric"), Field(json_schema_extra={"enum": list(METRIC_NAMES)})
]
Fallback = Annotated[
    str,
    one_of(("refuse", "promote"), "rule"),
    Field(json_schema_extra={"enum": ["refuse", "promote"]}),
]


Rule = Annotated[
    str, one_of(("better", "not_worse"), "rule"), Field(json_schema_extra={"enum": ["better", "not_worse"]})
]


class AgainstChampion(Declared):
    """When a candidate replaces the champion, both scored on the same rows, which neither was trained on.

    `better`: when it is proven better by more than `min_effect`, by a paired test over days. Every test
    spends the share `spend` of what is left of `yearly_alpha`: of candidates that are no better at most that
    part of all years promotes one, however often the model is retrained. `not_worse`: when it is not worse by
    more than `max_drop`; nothing is proven, and newer data is reason enough.
    """

    metric: MetricName = Field(description="What both are compared by.")
    rule: Rule = Field(default="better", description="better, or not_worse where max_drop is given.")
    min_effect: float = Field(
        default=0.0, ge=0, description="What it must be proven better by, in the metric's unit (better)."
    )
    yearly_alpha: float = Field(
        default=0.05, gt=0, le=0.5, description="Allowed chance of a promotion by chance in a year (better)."
    )
    spend: float = Field(
        default=0.02, gt=0, le=1, description="Share of the yearly_alpha left that one test spends (better)."
    )
    max_drop: float = Field(
        default=0.0, ge=0, description="How much worse it may be, in the metric's unit (not_worse)."
    )
    if_not_comparable: Fallback = Field(
        default="refuse", description="What is done where too few days are left that neither was trained on."
    )

    @model_validator(mode="before")
    @classmethod
    def _rule_of_max_drop(cls, declared: Any) -> Any:
        if isinstance(declared, Mapping) and "max_drop" in declared and "rule" not in declared:
            return {**declared, "rule": "not_worse"}
        return declared

    @model_validator(mode="after")
    def _of_one_rule(self) -> Self:
        others = ("max_drop",) if self.rule == "better" else ("min_effect", "yearly_alpha", "spend")
        fields = type(self).model_fields
        given = [name for name in others if getattr(self, name) != fields[name].default]
        if given:
            other = "not_worse" if self.rule == "better" else "better"
            raise ValueError(f"{', '.join(given)}: of rule {other!r}, but the rule is {self.rule!r}")
        return self


class Gate(Declared):
    """What a candidate must reach to be promoted: a value for each named metric, and the champion.

    `replay` bounds what it may change of the last answers.
    """

    floor: dict[MetricName, float] = Field(min_length=1)
    against_champion: AgainstChampion
    replay: ReplayPlan = ReplayPlan()

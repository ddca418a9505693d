"""The part of a declaration that says how the endpoint is held to the offline path before promotion.

How that is done is `parity`'s matter.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from ml.declared import Declared

MIN_REQUESTS = 1000


class Tolerance(Declared):
    """By how much a column may differ, in its own unit, and why that is right."""

    within: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    reason: Annotated[str, Field(min_length=10)]


class ParityPlan(Declared):
    """At least 1,000 requests; everything equal to the bit but for columns with a tolerance of their own.

    The column `score` stands for what is predicted.
    """

    requests: Annotated[int, Field(ge=MIN_REQUESTS)] = MIN_REQUESTS
    tolerances: Mapping[str, Tolerance] = Field(default_factory=dict)

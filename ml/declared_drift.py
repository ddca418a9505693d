"""The part of a declaration that says how features are watched, and from where on they have drifted.

How that is measured is the drift's matter.
"""

from typing import Annotated

from pydantic import Field

from ml.declared import Declared

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class DriftPlan(Declared):
    """The newest `window_days` are held against the training rows, and against `preceding_weeks` before them.

    A feature is not as it was where its population stability index is above `max_psi` (and above what windows
    of the training days reached themselves), where more of it is missing by `max_missing`, or where more than
    `max_unseen` have a category that no training row had. Windows of fewer than `min_rows` rows say nothing.
    """

    window_days: Annotated[int, Field(ge=1)] = 7
    preceding_weeks: Annotated[int, Field(ge=1)] = 4
    max_psi: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.25
    max_missing: Share = 0.1
    max_unseen: Share = 0.05
    min_rows: Annotated[int, Field(ge=1)] = 200

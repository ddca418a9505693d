"""The part of a declaration that says how scores are made probabilities that come true as often as they say.

How that is fitted and applied is `calibration`'s matter.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ml.declared import Declared, one_of
from ml.errors import Problem

METHODS = ("sigmoid", "isotonic")
CALIBRATED_TASKS = ("binary", "multiclass")


class Calibration(Declared):
    """A last step from score to probability, fitted on the newest `days` training days.

    The engine is not fitted on those: what it learned by heart would look surer there than it is. `sigmoid`
    moves and stretches the log odds (two numbers, enough for few rows); `isotonic` follows any rising curve.
    Of several classes each is calibrated against the others, and their probabilities sum to 1 again.
    """

    method: Annotated[str, one_of(METHODS, "method"), Field(json_schema_extra={"enum": list(METHODS)})]
    days: int = Field(default=28, ge=1)

    @staticmethod
    def problems(task: str) -> Iterator[Problem]:
        """What is wrong with calibrating a task."""
        if task not in CALIBRATED_TASKS:
            allowed = ", ".join(CALIBRATED_TASKS)
            told = f"is for tasks with probabilities ({allowed}), and the task is {task!r}. Leave it out"
            yield Problem("calibration", None, told)

"""The part of a gate that says what a candidate may change of the answers that were given last.

How that is measured is `ml.replay`'s matter.
"""

from typing import Annotated

from pydantic import Field

from ml.declared import Declared
from ml.declared_drift import Share

Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ReplayPlan(Declared):
    """The last requests that were logged are asked of candidate and champion again.

    At most `max_flipped` of the decisions may be other ones, unless known outcomes show that they are surely
    better: of a binary label on which side of the threshold
    that the declared costs say, of classes which is the most probable, of a number whether it differs by more
    than half of what the champion's differ among themselves. Where outcomes are known the mean score may be
    off by `max_calibration_gap` at most (binary). Scoring a row may take `max_slowdown` times as long as the
    champion, at the 99th of 100 rows, and `max_p99_ms` where that is given; the loaded model may take
    `max_growth` times its memory, or 32 MB more.
    """

    requests: Annotated[int, Field(ge=100)] = 1000
    max_flipped: Share = 0.5
    max_worse: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.005
    max_calibration_gap: Share = 0.1
    max_slowdown: Ratio = 1.75
    max_p99_ms: Ratio | None = None
    max_growth: Ratio = 4.0

"""What a calibration changed: the same test rows scored without it.

How it is fitted is `ml.calibration`'s matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from ml.analysis.curves import Bin, bins
from ml.analysis.outcomes import outcomes
from ml.calibration import Calibrated
from ml.contract import Contract
from ml.engines.protocol import Fitted
from ml.metrics import Labels, compute_all
from ml.scoring import score


@dataclass(frozen=True)
class Uncalibrated:
    """Metrics and calibration curve before the step, which was fitted on `n_rows` rows of these days."""

    method: str
    first_day: date
    last_day: date
    n_rows: int
    metrics: Mapping[str, float]
    calibration: tuple[Bin, ...]


def uncalibrated(fitted: Fitted, contract: Contract, test: pa.Table, labels: Labels) -> Uncalibrated | None:
    """The scores before calibration, measured; None for a model that has no such step."""
    if not isinstance(fitted, Calibrated):
        return None
    step, scores = fitted.calibrator, score(fitted.fitted, contract, test)
    return Uncalibrated(
        step.method,
        step.first_day,
        step.last_day,
        step.n_rows,
        compute_all(contract.task, labels, scores),
        bins(*outcomes(contract.task, labels, scores)),
    )


def gap(curve: tuple[Bin, ...]) -> float:
    """Mean distance of what was told and what came true over the groups, by rows."""
    n_rows = sum(one.n_rows for one in curve)
    return sum(one.n_rows * abs(one.score_mean - one.label_mean) for one in curve) / n_rows

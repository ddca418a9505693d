"""Ways of running a model held beside each other over a stretch of answers."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.simulated import Answers, compared
from tests.ml import parcels

N_DAYS, PER_DAY = 30, 200


def answers(skill: float, shift_from: int = N_DAYS) -> Answers:
    """Labels, and scores of so much skill; from a day on another model's, which tells all odds higher."""
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(N_DAYS), PER_DAY)
    labels = rng.random(len(day)) < 0.1 + 0.01 * day
    raw = skill * labels + rng.normal(0, 1, len(day)) - 2.0 * (day >= shift_from)
    days = np.array([date(2024, 3, 1) + timedelta(days=int(n)) for n in day], dtype="datetime64[D]")
    return Answers(days, pa.table({"n": day}), labels, 1 / (1 + np.exp(-raw)))


def test_a_better_way_is_better_with_its_interval() -> None:
    loop, other = answers(1.5), answers(0.5)
    ways = compared(parcels.declared(), loop, (3, 12.0), {"without": (other.scores, 0, 0.0)})
    assert [(way.name, way.n_trainings, way.training_s) for way in ways] == [
        ("the loop", 3, 12.0),
        ("without", 0, 0.0),
    ]
    assert ways[1].beside == pytest.approx(ways[0].value - ways[1].value)
    assert ways[1].low is not None
    assert ways[1].low > 0.1


def test_a_change_of_models_is_no_loss_by_itself() -> None:
    plain, changed = answers(1.5), answers(1.5, shift_from=15)
    (_, beside) = compared(parcels.declared(), changed, (1, 1.0), {"without": (plain.scores, 0, 0.0)})
    assert beside.beside == pytest.approx(0, abs=1e-9)


def test_rows_that_one_way_did_not_score_count_for_none() -> None:
    loop, other = answers(1.5), answers(0.5)
    scores = other.scores.copy()
    scores[: 10 * PER_DAY] = np.nan
    late = compared(parcels.declared(), loop, (0, 0.0), {"daily": (scores, 20, 1.0)})
    kept = slice(10 * PER_DAY, None)
    only = Answers(loop.days[kept], loop.values[kept], loop.labels[kept], loop.scores[kept])
    expected = compared(parcels.declared(), only, (0, 0.0), {"daily": (other.scores[kept], 20, 1.0)})
    assert late[0].value == expected[0].value
    assert late[1].value == expected[1].value
    nothing = compared(parcels.declared(), loop, (0, 0.0), {"daily": (scores * np.nan, 0, 0.0)})
    assert nothing == ()

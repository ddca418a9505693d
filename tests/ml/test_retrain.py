"""When a model is due to be trained again, with the number it rests on."""

from datetime import date, timedelta
from typing import Any

import pytest

from ml.retrain import decide
from tests.ml.parcels import declared

FIRST = date(2024, 1, 1)


def _days(n: int) -> list[date]:
    return [FIRST + timedelta(days=i) for i in range(n)]


@pytest.mark.parametrize(
    ("n_days", "trained_until", "due", "n_new", "told"),
    [
        (5, None, False, 0, "not enough labelled days"),
        (8, None, False, 0, "holdout_days 8"),
        (9, None, True, 1, "no candidate was trained yet; there are 1 days"),
        (28, FIRST + timedelta(days=13), False, 6, "6 new days, fewer than the declared 7"),
        (29, FIRST + timedelta(days=13), True, 7, "7 new days, at least the declared 7"),
        (29, FIRST + timedelta(days=20), False, 0, "training days now reach 2024-01-21"),
        (29, FIRST + timedelta(days=25), False, 0, "0 new days"),
    ],
)
def test_due_by_the_days_training_would_gain(
    n_days: int, trained_until: date | None, due: bool, n_new: int, told: str
) -> None:
    decision = decide(declared(), _days(n_days), trained_until)
    assert (decision.is_due, decision.n_new_days) == (due, n_new)
    assert told in decision.reason


def test_days_without_labels_do_not_count() -> None:
    sparse = [*_days(14), *(FIRST + timedelta(days=20 + 3 * i) for i in range(14))]
    assert decide(declared(), sparse, FIRST + timedelta(days=13)).n_new_days == 6


def test_fixed_training_days_are_trained_on_once() -> None:
    split: dict[str, Any] = {"train_until": "2024-01-20", "test_from": "2024-01-22"}
    fixed = declared(split=split)
    assert decide(fixed, _days(25), None).is_due
    assert not decide(fixed, _days(60), date(2024, 1, 20)).is_due

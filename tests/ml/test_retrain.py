"""When a model is due to be trained again, with the number it rests on."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from ml.declaration import ModelDeclaration
from ml.retrain import Shown, Signals, decide
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


GUARDED = {
    "max_age_days": 200,
    "drift": {"min_share": 0.25, "for_days": 3},
    "quality": {"max_drop": 0.02, "for_days": 2},
    "min_new_days": 5,
    "cool_down_days": 14,
    "budget": {"retrains": 6, "within_days": 90},
}


class _Year:
    """A loop lived through in a simulated year: each day labels arrive, signals show, the policy decides.

    `killed` says whether the daemon dies after the training and before it is noted, as on that day.
    """

    def __init__(self, shows: Callable[[int, int], dict[str, bool]], **policy: Any) -> None:
        self.declared: ModelDeclaration = declared(retrain=GUARDED | policy)
        self.shows = shows
        self.retrained: list[date] = [FIRST + timedelta(days=59)]
        self.trained = 1

    def live(self, n_days: int = 365, killed: Callable[[int], bool] = lambda _: False) -> list[int]:
        """The places of the days on which a retrain was noted."""
        found, shown = [], {"drift": [], "quality": []}  # type: list[int], dict[str, list[Shown]]
        until = FIRST + timedelta(days=51)
        for n in range(60, 60 + n_days):
            today = FIRST + timedelta(days=n)
            since = (until - FIRST).days
            for name, raised in self.shows(n - 60, since - 51).items():
                shown[name].append(Shown(today, raised, f"{name} on day {n}"))
            signals = Signals(tuple(self.retrained), until, tuple(shown["quality"]), tuple(shown["drift"]))
            for attempt in range(3):  # a tick that is killed is done again
                decision = decide(self.declared, _days(n + 1), until, signals)
                if not decision.is_due:
                    break
                self.trained += 1
                if killed(n) and attempt < 1:
                    continue
                found.append(n - 60)
                self.retrained.append(today)
                until = today - timedelta(days=8)
                signals = Signals(tuple(self.retrained), until, signals.quality, signals.drift)
        return found


def _step(day: int, until: int) -> dict[str, bool]:
    """Drift from day 100 on, until a model is trained on days after it."""
    return {"drift": day >= 100 > until, "quality": False}


def test_a_step_leads_to_one_retrain_within_the_declared_days() -> None:
    assert _Year(_step).live(190) == [102]  # it is there from day 100 on: three days in a row


def test_what_is_not_raised_often_enough_in_a_row_leads_to_none() -> None:
    assert _Year(lambda day, _: {"drift": day % 3 != 0, "quality": day % 2 == 0}).live(140) == []


@pytest.mark.parametrize("period", [2, 4, 6, 8, 20])
def test_oscillation_leads_to_one_a_cool_down_at_most(period: int) -> None:
    def swings(day: int, _: int) -> dict[str, bool]:
        return {"drift": day % period < period // 2, "quality": (day + 1) % period < period // 2}

    retrained = _Year(swings).live(365)
    gaps = np.diff([-1, *retrained])
    assert all(gap >= 14 for gap in gaps[1:])
    for n in range(365):
        assert sum(n <= day < n + 90 for day in retrained) <= 6


def test_killed_at_every_tick_it_is_retrained_exactly_once() -> None:
    plain, killed = _Year(_step), _Year(_step)
    assert plain.live(190) == killed.live(190, killed=lambda _: True)
    assert plain.retrained == killed.retrained


def test_age_calls_for_one() -> None:
    assert _Year(lambda *_: {"drift": False, "quality": False}).live(365) == [191]


def test_what_holds_back_is_told_with_its_numbers() -> None:
    today = FIRST + timedelta(days=89)
    policy = declared(retrain=GUARDED)
    raised = tuple(Shown(today - timedelta(days=n), True, "a third of the gain") for n in (2, 1, 0))
    retrained: Sequence[date] = [today - timedelta(days=n) for n in (80, 60, 45, 32, 18, 4)]
    signals = Signals(tuple(retrained), today - timedelta(days=12), (), raised)
    decision = decide(policy, _days(90), today - timedelta(days=12), signals)
    assert not decision.is_due
    assert decision.reason == (
        "drift: a third of the gain, for 3 days in a row; held back: training would gain 4 days, fewer than "
        f"the declared 5; the last retrain was on data until {retrained[-1]}, 10 days of cool-down are left; "
        "the budget of 6 retrains within 90 days is spent"
    )
    assert [(one.name, one.calls) for one in decision.triggers] == [
        ("quality", False),
        ("drift", True),
        ("age", False),
    ]

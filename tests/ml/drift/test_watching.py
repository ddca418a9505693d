"""Steps, seasons and noise told apart over a simulated year, and what the retrain policy makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from ml.declared_drift import DriftPlan
from ml.drift.bins import Bins, number_bins
from ml.drift.fingerprint import Fingerprint, merged
from ml.drift.taking import take_table
from ml.drift.watching import Watched, watch
from ml.retrain import Shown, Signals, decide
from tests.ml.parcels import declared

FIRST = date(2023, 1, 1)
PER_DAY, TRAINED = 300, 240
Drawn = Callable[[int, Any], NDArray[Any]]


def _noise(_: int, rng: Any) -> NDArray[np.float64]:
    return np.asarray(rng.normal(0, 1, PER_DAY))


def _step(day: int, rng: Any) -> NDArray[np.float64]:
    return _noise(day, rng) + (1.5 if day >= 280 else 0)


def _weekly(day: int, rng: Any) -> NDArray[np.float64]:
    return _noise(day, rng) + 2 * (day % 7 in (5, 6))


def _season(day: int, rng: Any) -> NDArray[np.float64]:
    """Slower than any week to the next, and with weather of days."""
    slow = 6 * np.cos(2 * np.pi * (day - 120) / 364)
    return _noise(day, rng) + slow + _weather()[day]


@cache
def _weather() -> NDArray[np.float64]:
    return np.asarray(np.convolve(np.random.default_rng(4).normal(0, 1.2, 900), np.ones(3) / 2, "same"))


def _unit(day: int, rng: Any) -> NDArray[np.float64]:
    """Fahrenheit, silently Celsius later on."""
    fahrenheit = 60 + 3 * _noise(day, rng)
    return (fahrenheit - 32) / 1.8 if day >= 300 else fahrenheit


def _summer_in_winter(day: int, rng: Any) -> NDArray[np.float64]:
    """Values that were trained on, but long ago: a sensor that shows another place's."""
    slow = 3 * np.cos(2 * np.pi * (day - 120) / 364)
    return np.asarray(_noise(day, rng) + (2 if day >= 300 else slow))


def _gaps(day: int, rng: Any) -> NDArray[np.float64]:
    values = _noise(day, rng)
    values[rng.random(PER_DAY) < (0.5 if day >= 300 else 0.05)] = np.nan
    return values


def _carrier(day: int, rng: Any) -> NDArray[Any]:
    return np.asarray(
        rng.choice(["aa", "bb", "new"], PER_DAY, p=[0.6, 0.25, 0.15] if day >= 300 else [0.7, 0.3, 0])
    )


@dataclass(frozen=True)
class World:
    """Fingerprints by day of one feature, and of the days until TRAINED together."""

    trained: Fingerprint
    by_day: Mapping[date, Fingerprint]

    @classmethod
    def of(cls, drawn: Drawn, n_days: int) -> "World":
        rng = np.random.default_rng(11)
        values = [drawn(day, rng) for day in range(n_days)]
        past = np.concatenate(values[:TRAINED])
        is_text = past.dtype.kind == "U"
        bins = Bins("x", categories=tuple(sorted(set(past.tolist())))) if is_text else number_bins("x", past)
        day = np.repeat(np.arange(n_days), PER_DAY)
        taken = take_table(pa.table({"x": np.concatenate(values), "day": day}), (bins,), "day")
        by_day = {FIRST + timedelta(days=n): found for n, found in taken.items()}
        return cls(merged((bins,), [taken[n] for n in range(TRAINED)]), by_day)

    def on(self, day: int, **plan: Any) -> Watched:
        known = {d: found for d, found in self.by_day.items() if d <= FIRST + timedelta(days=day)}
        found = watch(self.trained, known, FIRST + timedelta(days=TRAINED - 1), DriftPlan(**plan))
        assert found is not None
        return found


def _verdicts(drawn: Drawn, n_days: int = 360) -> dict[int, str]:
    world = World.of(drawn, n_days)
    return {day: world.on(day).features[0].verdict for day in range(TRAINED, n_days)}


@pytest.mark.parametrize("drawn", [_noise, _weekly])
def test_what_goes_on_as_before_is_steady_on_every_day(drawn: Drawn) -> None:
    assert set(_verdicts(drawn).values()) == {"steady"}


def test_a_step_is_drift_within_the_window_and_stays_it() -> None:
    verdicts = _verdicts(_step)
    assert {verdicts[day] for day in range(TRAINED, 280)} == {"steady"}
    assert {verdicts[day] for day in range(284, 360)} == {"drift"}
    told = World.of(_step, 360).on(359).features[0]
    assert told.since in {FIRST + timedelta(days=day) for day in range(280, 285)}
    assert told.text.startswith(f"x: drift since {told.since}, PSI ")
    medians = told.quantiles_now[2], told.quantiles_then[2]
    assert None not in medians
    assert 1.2 < medians[0] - medians[1] < 1.8


def test_a_season_that_was_not_trained_on_is_no_drift() -> None:
    verdicts = _verdicts(_season)
    assert "drift" not in verdicts.values()
    assert "season" in verdicts.values()  # so that the test is one


def test_a_season_is_known_again_after_a_year_though_it_comes_of_a_sudden() -> None:
    def holidays(day: int, rng: Any) -> NDArray[np.float64]:
        return _noise(day, rng) + (4 if day % 364 in range(350, 362) and day != 0 else 0)

    world = World.of(holidays, 730)
    first, again = world.on(356).features[0], world.on(356 + 364).features[0]
    assert first.verdict == "drift"
    assert again.verdict == "season"


@pytest.mark.parametrize(
    ("drawn", "verdict", "told"),
    [
        (_unit, "drift", "PSI"),
        (_gaps, "missing", "missing, 5% when trained"),
        (_carrier, "unseen", "a value that no training row had"),
    ],
)
def test_faults_are_named_for_what_they_are(drawn: Drawn, verdict: str, told: str) -> None:
    verdicts = _verdicts(drawn)
    assert {verdicts[day] for day in range(TRAINED, 300)} == {"steady"}
    assert {verdicts[day] for day in range(306, 360)} == {verdict}
    assert told in World.of(drawn, 340).on(339).features[0].text


def test_a_jump_to_what_was_trained_on_is_told_and_calls_for_no_retrain() -> None:
    world = World.of(_summer_in_winter, 330)
    assert world.on(299).features[0].verdict != "jump"
    found = world.on(306)
    assert found.features[0].verdict == "jump"
    assert found.drifting_share == 0
    assert found.drifting == found.features
    assert "jump to values that were trained on" in found.features[0].text


def test_too_few_rows_say_nothing() -> None:
    assert World.of(_step, 300).on(299, min_rows=7 * PER_DAY + 1).features[0].verdict == "too few"


def test_features_count_by_what_they_are_worth() -> None:
    world = World.of(_step, 300)
    day = FIRST + timedelta(days=TRAINED - 1)
    for weights, share in ((None, 1.0), ({"x": 0.3}, 0.3), ({}, 0.0)):
        found = watch(world.trained, world.by_day, day, DriftPlan(), weights)
        assert found is not None
        assert found.drifting_share == share
    assert watch(world.trained, {}, day, DriftPlan()) is None


def _retrained(drawn: Drawn) -> list[int]:
    """The days of a retrain in half a year: features watched each day, the model trained anew when due."""
    retrain = {"drift": {"min_share": 0.5, "for_days": 3}, "cool_down_days": 21, "min_new_days": 7}
    policy, found = declared(retrain=retrain), []
    world = World.of(drawn, 460)
    days = sorted(world.by_day)
    until, at, shown = days[TRAINED - 1], [days[TRAINED + 7]], []  # type: date, list[date], list[Shown]
    trained = world.trained
    for n in range(TRAINED + 8, 460):
        seen = watch(trained, {day: world.by_day[day] for day in days[: n + 1]}, until, policy.drift)
        assert seen is not None
        shown.append(Shown(days[n], seen.drifting_share >= 0.5, "x"))
        if decide(policy, days[: n + 1], until, Signals(tuple(at), until, (), tuple(shown))).is_due:
            found.append(n)
            at.append(days[n])
            until = days[n - 8]
            trained = merged(trained.bins, [world.by_day[day] for day in days if day <= until])
    return found


def test_noise_and_season_lead_to_no_retrain() -> None:
    assert _retrained(_noise) == []
    assert _retrained(_season) == []


def test_a_step_leads_to_a_retrain_within_ten_days_and_to_no_more_once_it_is_trained_on() -> None:
    # The model of the first still was trained on few days after the step; that of the second knows it.
    found = _retrained(_step)
    assert 280 < found[0] <= 290
    assert len(found) <= 2

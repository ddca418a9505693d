"""How good models are after their training: by day and window, with intervals, open labels and slices."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.bundle import Bundle
from ml.quality import Quality, Told, quality
from tests.ml import parcels

FIRST = date(2024, 3, 1)
PER_DAY = 400


def told(bundle: Bundle, skill: Any, n_days: int, role: Any = "champion", open_from: int = 10**6) -> Told:
    """Rows whose labels a model of so much `skill` tells apart, by day; none is known from `open_from` on."""
    rng = np.random.default_rng(8)
    day = np.repeat(np.arange(n_days), PER_DAY)
    is_late = rng.random(len(day)) < 0.3
    of_day = np.array([skill(n) for n in range(n_days)])[day]
    score = 1 / (1 + np.exp(-(of_day * is_late + rng.normal(0, 1, len(day)))))
    rows = pa.table(
        {
            "key": [f"P{n}" for n in range(len(day))],
            "prediction_at": pa.nulls(len(day), pa.timestamp("us")),
            "day": pa.array([FIRST + timedelta(days=int(n)) for n in day], pa.date32()),
            "score": pa.array([[one] for one in score], pa.list_(pa.float64())),
            "is_late": pa.array(is_late, mask=day >= open_from),
        }
    )
    return Told(role, bundle.version, bundle.contract, rows)


def measured(*models: Told, **retrain: Any) -> Quality:
    policy = {"cool_down_days": 7, "quality": {"max_drop": 0.02, **retrain}}
    declaration = parcels.declared(retrain=policy)
    return quality(declaration, 5, models, (FIRST, FIRST + timedelta(days=7)))


def test_a_model_that_goes_on_as_judged_has_not_fallen(bundle: Bundle) -> None:
    found = measured(told(bundle, lambda _: 1.5, 30))
    assert found.judged_by is not None
    assert found.judged_by.value == pytest.approx(0.855, abs=0.01)
    assert not any(found.fallen(window, 0.0) for window in found.windows)
    assert len(found.by_day) == 22
    (recent,) = found.recent
    assert (recent.first_day, recent.last_day) == (FIRST + timedelta(days=16), FIRST + timedelta(days=29))
    assert None not in (recent.low, recent.value, recent.high)


def test_a_fall_shows_once_the_window_is_whole(bundle: Bundle) -> None:
    def falls(day: int) -> float:
        return 1.5 if day < 8 else 0.8

    early, late = measured(told(bundle, falls, 16)), measured(told(bundle, falls, 30))
    assert not any(early.fallen(window, 0.02) for window in early.windows)
    assert [late.fallen(window, 0.02) for window in late.windows] == [True, True]
    assert not late.fallen(late.windows[-1], 0.3)


def test_labels_that_are_not_known_yet_are_open_and_not_wrong(bundle: Bundle) -> None:
    found = measured(told(bundle, lambda _: 1.5, 30, open_from=28))
    newest = found.by_day[-1]
    assert (newest.n_rows, newest.n_known, newest.value, newest.open_share) == (PER_DAY, 0, None, 1.0)
    assert found.recent[0].last_day == FIRST + timedelta(days=27)
    nothing = measured(told(bundle, lambda _: 1.5, 30, open_from=8))
    assert nothing.recent == nothing.windows == ()


def test_candidate_and_baseline_are_measured_on_the_same_days(bundle: Bundle) -> None:
    models = [
        told(bundle, lambda _, skill=skill: skill, 30, role)
        for role, skill in (("champion", 1.5), ("candidate", 1.7), ("baseline", 0.7))
    ]
    found = measured(*models)
    values = {one.role: one.value for one in found.recent}
    assert values["candidate"] > values["champion"] > values["baseline"]
    assert len({(one.first_day, one.last_day) for one in found.recent}) == 1
    assert Quality.from_json(found.to_json()) == found


def test_slices_are_of_the_newest_window(bundle: Bundle) -> None:
    model = told(bundle, lambda _: 1.5, 30)
    keys = model.rows["key"]
    depots = ["N" if n % 2 else "S" for n in range(len(keys))]
    features = pa.table(
        {"key": keys, "depot_id": depots, "n_ahead": [1] * len(keys), "is_express": [True] * len(keys)}
    )
    declaration = parcels.declared(slices=parcels.SLICES)
    found = quality(declaration, 5, [model], (FIRST, FIRST + timedelta(days=7)), features)
    of_depot = {one.value: one.n_rows for one in found.slices if one.column == "depot_id"}
    assert of_depot == {"N": 7 * PER_DAY, "S": 7 * PER_DAY}

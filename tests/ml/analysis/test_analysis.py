"""Intervals, slices, thresholds and cases say of rows what is true of them."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from ml.analysis.cases import most_wrong
from ml.analysis.intervals import Draws, drawn, interval_of, intervals
from ml.analysis.resampled import RESAMPLED
from ml.analysis.slices import Judging, parts, slices
from ml.analysis.thresholds import cheapest, thresholds
from ml.declaration import Costs
from ml.metrics import METRICS, Labels, Scores, metric_of

N_DAYS, PER_DAY = 30, 200
Rows = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.datetime64]]


def rows_of(seed: int, day_effect: float = 0.7, n_days: int = N_DAYS) -> Rows:
    """Labels that come true as often as scores say, but for what a day has in common."""
    rng = np.random.default_rng(seed)
    days = np.repeat(np.arange(n_days), PER_DAY)
    logit = rng.normal(-1, 1, len(days))
    shared = rng.normal(0, day_effect, n_days)[days]
    scores = 1 / (1 + np.exp(-logit))
    labels = rng.random(len(days)) < 1 / (1 + np.exp(-logit - shared))
    return labels, np.round(scores, 3), np.datetime64("2013-01-01") + days


@pytest.mark.parametrize("name", METRICS["binary"])
def test_a_metric_of_drawn_days_is_that_of_their_rows(name: str) -> None:
    labels, scores, days = rows_of(0, n_days=4)
    if name == "roc_auc":  # more scores than groups
        scores = scores + np.random.default_rng(2).random(len(scores)) / 1e4
    draws = drawn("binary", labels, scores, days, 5)
    for counts, value in zip(draws.counts, draws.values(name), strict=True):
        repeated = np.repeat(np.arange(len(labels)), counts[draws.rows.day_of].astype(int))
        exact = metric_of("binary", name).compute(labels[repeated], scores[repeated])
        # The groups of a calibration are those of all days.
        assert value == pytest.approx(exact, abs=0.02 if name == "calibration_error" else 2e-4)


@pytest.mark.parametrize("name", RESAMPLED["regression"])
def test_a_metric_of_numbers_is_that_of_the_drawn_rows(name: str) -> None:
    rng = np.random.default_rng(1)
    labels, days = rng.normal(50, 20, 800), np.repeat(np.arange(4), 200)
    draws = drawn("regression", labels, labels + rng.normal(3, 10, 800), days, 5)
    _is_of_the_rows(draws, name)


@pytest.mark.parametrize("name", RESAMPLED["multiclass"])
def test_a_metric_of_classes_is_that_of_the_drawn_rows(name: str) -> None:
    rng = np.random.default_rng(1)
    draws = drawn(
        "multiclass",
        rng.integers(0, 3, 800),
        rng.dirichlet([1, 2, 3], 800),
        np.repeat(np.arange(4), 200),
        5,
    )
    _is_of_the_rows(draws, name)


def _is_of_the_rows(draws: Draws, name: str) -> None:
    rows = draws.rows
    for counts, value in zip(draws.counts, draws.values(name), strict=True):
        repeated = np.repeat(np.arange(len(rows.labels)), counts[rows.day_of].astype(int))
        exact = metric_of(draws.task, name).compute(rows.labels[repeated], rows.scores[repeated])
        assert value == pytest.approx(exact, rel=1e-9)


def test_one_class_has_no_area_and_a_single_day_no_interval() -> None:
    labels, scores, days = rows_of(0, n_days=2)
    labels[: len(labels) // 2] = False
    draws = drawn("binary", labels, scores, days, 50)
    has_class = draws.counts[:, 1] > 0
    for name in ("roc_auc", "pr_auc"):
        assert (np.isnan(draws.values(name)) == ~has_class).all()
    assert "roc_auc" not in intervals(draws)
    assert "brier" in intervals(draws)
    assert intervals(drawn("binary", labels, scores, np.zeros(len(labels)))) == {}


def test_intervals_hold_the_truth_as_often_as_they_say_though_days_have_much_in_common() -> None:
    by_days, by_rows = 0, 0
    truth = float(np.mean([_brier(rows_of(seed)) for seed in range(1_000, 1_100)]))
    for seed in range(60):
        labels, scores, days = rows_of(seed)
        by_days += _holds(truth, labels, scores, days)
        by_rows += _holds(truth, labels, scores, np.arange(len(days)))
    assert by_days >= 52  # 57 are due
    assert by_rows < 45  # were rows independent, they would be due too


def test_the_same_days_give_the_same_intervals() -> None:
    again = [intervals(drawn("binary", *rows_of(3), 50)) for _ in range(2)]
    assert again[0] == again[1]
    assert set(again[0]) == set(METRICS["binary"])


def test_the_slice_that_is_worse_is_named_and_no_other() -> None:
    labels, scores, days = rows_of(4)
    rng = np.random.default_rng(5)
    group = rng.choice(["a", "b", "c"], len(labels))
    scores[group == "b"] = rng.permutation(scores[group == "b"])
    table = pa.table({"group": group, "number": rng.normal(size=len(labels))})
    judging = Judging(drawn("binary", labels, scores, days, 200), metric_of("binary", "roc_auc"))
    found = slices(table, ["group", "number"], judging, min_rows=50)
    assert [(one.column, one.value) for one in found if one.is_worse] == [("group", "b")]
    assert (found[0].column, found[0].value) == ("group", "b")
    assert found[0].metric == pytest.approx(0.5, abs=0.05)
    assert sum(one.n_rows for one in found if one.column == "number") == len(labels)
    assert slices(table, ["group"], judging, min_rows=len(labels)) == ()


def test_a_slice_of_one_class_has_no_metric() -> None:
    labels, scores, days = rows_of(6)
    table = pa.table({"came": labels.astype(str)})
    judging = Judging(drawn("binary", labels, scores, days, 20), metric_of("binary", "roc_auc"))
    for one in slices(table, ["came"], judging, min_rows=1):
        assert (one.metric, one.worse_by, one.interval, one.is_worse) == (None, None, None, False)


def test_parts_of_a_column() -> None:
    texts = dict(parts(pa.chunked_array([["a", None], ["b", "a"]])))
    assert {name: rows.tolist() for name, rows in texts.items()} == {"missing": [1], "a": [0, 3], "b": [2]}
    few = dict(parts(pa.array([1, 2, 1])))
    assert {name: rows.tolist() for name, rows in few.items()} == {"1": [0, 2], "2": [1]}
    many = dict(parts(pa.array([None, *np.arange(100.0)])))
    assert list(many) == [
        "missing",
        "up to 24.75",
        "above 24.75 to 49.5",
        "above 49.5 to 74.25",
        "above 74.25",
    ]
    assert [len(rows) for rows in many.values()] == [1, 25, 25, 25, 25]


def test_the_cheapest_threshold_is_where_acting_costs_what_not_acting_does() -> None:
    labels, scores, _ = rows_of(7, day_effect=0.0)
    curve = thresholds(labels, scores, Costs(false_positive=1, false_negative=4))
    assert curve[0].acted_on == 1
    assert curve[0].recall == 1
    assert curve[0].precision == pytest.approx(labels.mean())
    assert cheapest(curve).at == pytest.approx(1 / (1 + 4), abs=0.06)
    at = curve[20]
    acted = scores >= at.at
    assert at.acted_on == pytest.approx(acted.mean())
    assert at.precision == pytest.approx(labels[acted].mean())
    assert at.cost == pytest.approx((acted & ~labels).mean() + 4 * (~acted & labels).mean())


def test_the_most_wrong_rows_come_first() -> None:
    labels = np.array([True, False, True, False] * 10)
    scores = np.where(labels, 0.8, 0.2)
    scores[6], scores[9] = 0.01, 0.95
    days = [date(2013, 1, 1) + timedelta(days=n // 20) for n in range(40)]
    table = pa.table({"id": [f"r{n:02}" for n in range(40)], "day": days, "x": [None, 1.5] * 20})
    found = most_wrong(table, "id", ["x"], (labels, scores), np.abs(labels - scores))
    assert [one.key for one in found[:2]] == ["r06", "r09"]
    assert (found[1].label, found[1].score, found[1].features) == (0.0, 0.95, {"x": "1.5"})
    assert found[0].features == {"x": ""}
    assert len(found) == 10
    assert len(most_wrong(table.slice(0, 3), "id", ["x"], (labels[:3], scores[:3]), np.ones(3))) == 3


def _holds(truth: float, labels: Labels, scores: Scores, days: NDArray[Any]) -> bool:
    found = interval_of(drawn("binary", labels, scores, days, 100).values("brier"))
    return found is not None and found.low <= truth <= found.high


def _brier(rows: Rows) -> float:
    labels, scores, _ = rows
    return float(((scores - labels) ** 2).mean())

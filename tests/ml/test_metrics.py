"""Metrics against values worked out by hand, and their direction."""

import numpy as np
import pytest

from ml.metrics import METRICS, calibration_groups, compute_all, metric_of

LABELS = np.array([False, True, False, True])
SCORES = np.array([0.1, 0.4, 0.35, 0.8])


def test_values_by_hand() -> None:
    found = compute_all("binary", LABELS, SCORES)
    assert set(found) == set(METRICS["binary"])
    assert found["roc_auc"] == 1.0
    assert found["pr_auc"] == 1.0
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.1225 + 0.04) / 4)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.65, 0.8]).mean())
    assert found["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.35 + 0.2) / 4)


def test_equal_scores_tell_nothing() -> None:
    assert compute_all("binary", LABELS, np.full(4, 0.5))["roc_auc"] == 0.5


def test_a_calibrated_score_has_nearly_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(50_000)
    labels = rng.random(50_000) < scores
    assert compute_all("binary", labels, scores)["calibration_error"] < 0.01
    assert compute_all("binary", labels, scores**2)["calibration_error"] > 0.1


def test_worse_depends_on_the_metric() -> None:
    assert metric_of("binary", "roc_auc").shortfall(0.7, 0.75) == pytest.approx(0.05)
    assert metric_of("binary", "log_loss").shortfall(0.7, 0.75) == pytest.approx(-0.05)


def test_groups_are_of_equal_size_by_rising_score() -> None:
    groups = calibration_groups(np.arange(41.0)[::-1])
    assert [len(group) for group in groups] == [3, *[2] * 19]
    assert groups[0].tolist() == [40, 39, 38]

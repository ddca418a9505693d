"""How sure a difference is, by blocks of days: held against closed forms, and where there is none."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ml.bundle import Bundle
from ml.evaluation import evaluate
from ml.metrics import METRICS
from ml.paired import Paired, compare
from ml.scoring import Scorer
from ml.training import train
from ml.training_set import TrainingSet, assemble
from tests.ml.parcels import declared, definition, world

RNG = np.random.default_rng(0)


def _mean_gain(n_days: int, per_day: int = 50) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    days = np.repeat(np.arange(n_days), per_day)
    return days, RNG.normal(0.1, 1, len(days)) + RNG.normal(0, 1, n_days)[days]


def test_of_a_mean_over_equal_days_it_is_the_t_test_of_the_days_means() -> None:
    days, gains = _mean_gain(20)
    found = compare("gain", days, lambda kept: float(gains[kept].mean()))
    assert isinstance(found, Paired)
    means = gains.reshape(20, 50).mean(axis=1)
    known = stats.ttest_1samp(means, 0.05, alternative="greater")
    assert found.difference == pytest.approx(means.mean())
    assert found.standard_error == pytest.approx(stats.sem(means))
    assert found.p_value(0.05) == pytest.approx(known.pvalue)
    assert found.interval == pytest.approx(stats.ttest_1samp(means, 0).confidence_interval(0.95))


def test_many_days_are_taken_some_in_a_row() -> None:
    days, gains = _mean_gain(365, 2)
    found = compare("gain", days, lambda kept: float(gains[kept].mean()))
    assert isinstance(found, Paired)
    assert found.n_blocks == 53


def test_what_can_not_be_tested_is_said() -> None:
    days, gains = _mean_gain(6)
    assert "there are 6 days" in str(compare("gain", days, lambda kept: float(gains[kept].mean())))
    days, _ = _mean_gain(8)
    told = compare("gain", days, lambda kept: float("nan") if not (days[kept] == 3).any() else 0.1)
    assert told == "without one of the days gain is not defined"


def test_without_any_spread_a_difference_is_what_it_is() -> None:
    assert Paired("gain", 0.1, 0.0, 10).p_value(0.05) == 0
    assert Paired("gain", 0.05, 0.0, 10).p_value(0.05) == 1


@pytest.mark.parametrize("metric", sorted(METRICS["binary"]))
def test_any_metric_of_a_model_beside_a_worse_one_is_positive(
    bundle: Bundle, training_set: TrainingSet, metric: str
) -> None:
    blind = declared(features={"table": "parcel_features", "columns": ["price"]})
    champion = Scorer(train(assemble(world(), blind), blind, definition()))
    beside = evaluate(
        Scorer(bundle),
        training_set.test,
        champion=champion,
        against=metric,
        champion_test=assemble(world(), blind).test,
    ).comparison
    assert beside is not None
    assert isinstance(beside.paired, Paired)
    assert (beside.paired.metric, beside.paired.n_blocks) == (metric, 8)
    worse_by = METRICS["binary"][metric].shortfall(beside.candidate[metric], beside.champion[metric])
    assert beside.paired.difference == pytest.approx(-worse_by, abs=1e-12)
    assert metric == "calibration_error" or beside.paired.p_value(0) < 0.01

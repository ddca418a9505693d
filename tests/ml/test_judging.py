"""A year of weekly retrains, simulated: what the shipped gate promotes by chance, and what gain it finds.

Rows are of simulated days; estimates, levels and decisions are made by the library.
"""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from scipy.special import ndtr

from ml.declared_gate import Gate
from ml.evaluation import Comparison, Evaluation
from ml.gate import decide
from ml.metrics import scikit_learn
from ml.paired import Paired, compare
from ml.spending import spend
from tests.ml import rivals
from tests.project_folder import ROOT

WEEKS = 52
SHIPPED = yaml.safe_load((ROOT / "assets/defs/late_arrival/defs.yaml").read_text())["attributes"]
GATE = Gate.model_validate({**SHIPPED["gate"], "floor": {"roc_auc": 0.5}})
DAYS = SHIPPED["split"]["holdout_days"]

Floats = NDArray[np.float64]


class Judge:
    """Holds one comparison a week against a gate, spending as the ledger would; stops at a promotion."""

    def __init__(self, evaluation: Evaluation, gate: Gate) -> None:
        self._gate = gate
        self._evaluation = replace(evaluation, champion="c" * 64)
        self._metrics = evaluation.metrics

    def promotes(self, differences: Floats, errors: Floats, n_blocks: int = DAYS) -> int | None:
        """The week, from 1, in which a candidate is promoted."""
        rule, spent = self._gate.against_champion, list[float]()
        for week, (difference, error) in enumerate(zip(differences, errors, strict=True), 1):
            paired = Paired(rule.metric, float(difference), float(error), n_blocks)
            day = date(2013, 1, 1)
            beside = Comparison(day, day, 1, 0, self._metrics, self._metrics, (), paired)
            spending = spend(spent, rule.yearly_alpha, rule.spend)
            if decide(replace(self._evaluation, comparison=beside), self._gate, spending).promote:
                return week
            spent.append(spending.level)
        return None


@pytest.fixture
def judge(evaluation: Evaluation) -> Judge:
    return Judge(evaluation, GATE)


def test_what_is_simulated_is_what_is_measured() -> None:
    day, label, scores = rivals.rows(np.random.default_rng(3), 14)
    roc_auc = scikit_learn().roc_auc_score

    def gain(kept: NDArray[np.bool_]) -> float:
        ours, theirs = (roc_auc(label[kept], score[kept]) for score in scores)
        return float(ours - theirs)

    measured = compare("roc_auc", day, gain)
    assert isinstance(measured, Paired)
    (difference,), (error,) = rivals.compared(rivals.counts(np.random.default_rng(3), 1, 14))
    assert measured.difference == pytest.approx(difference, abs=1e-12)
    assert measured.standard_error == pytest.approx(error, abs=1e-12)


def test_it_is_as_uncertain_as_real_models_are() -> None:
    worlds = rivals.counts(np.random.default_rng(4), 200, 28)
    differences, errors = rivals.compared(worlds)
    assert 0.0015 < np.median(errors) < 0.0031
    assert differences.std() == pytest.approx(errors.mean(), rel=0.15)
    assert 0.74 < rivals.roc_auc(worlds.sum(axis=1)).mean() < 0.80


@pytest.mark.parametrize("n_days", [7, 28])
def test_the_test_keeps_its_level_with_few_days(n_days: int) -> None:
    n, level = 2000, 0.01
    differences, errors = rivals.compared(rivals.counts(np.random.default_rng(5), n, n_days))
    both = zip(differences, errors, strict=True)
    p_values = np.array([Paired("roc_auc", float(d), float(e), n_days).p_value(0) for d, e in both])
    allowed = n * level + 3 * np.sqrt(n * level)
    assert (p_values <= level).sum() <= allowed
    if n_days == 7:
        assert (ndtr(-differences / errors) <= level).sum() > allowed, "why it is not the normal test"


def test_without_a_difference_at_most_5_in_100_years_of_weekly_retrains_promote(
    evaluation: Evaluation,
) -> None:
    n_years = 100
    # Every week's rows are new: were they shared from week to week, fewer years would promote.
    differences, errors = rivals.compared(rivals.counts(np.random.default_rng(6), n_years * WEEKS, DAYS))
    years = list(zip(differences.reshape(-1, WEEKS), errors.reshape(-1, WEEKS), strict=True))
    for min_effect in (0.0, GATE.against_champion.min_effect):
        rule = GATE.against_champion.model_copy(update={"min_effect": min_effect})
        judge = Judge(evaluation, GATE.model_copy(update={"against_champion": rule}))
        assert len([year for year in years if judge.promotes(*year)]) <= 0.05 * n_years


def test_a_true_gain_of_5_thousandths_is_found_by_weekly_retrains(judge: Judge) -> None:
    n_years = 100
    worlds = rivals.counts(np.random.default_rng(7), n_years, DAYS + 7 * (WEEKS - 1), rivals.GAIN_005)
    weeks = [rivals.compared(worlds[:, 7 * week : 7 * week + DAYS]) for week in range(WEEKS)]
    differences, errors = (np.stack(one, axis=1) for one in zip(*weeks, strict=True))
    assert differences.mean() == pytest.approx(0.005, abs=0.0003)
    found = [judge.promotes(*year) for year in zip(differences, errors, strict=True)]
    assert sum(week is not None for week in found) >= 0.8 * n_years
    assert np.median([week or WEEKS + 1 for week in found]) <= 17, "four months"


def test_in_a_single_comparison_it_takes_five_months_of_days_to_find_it(judge: Judge) -> None:
    def power(n_days: int, n: int = 150) -> float:
        worlds = rivals.counts(np.random.default_rng(8), n, n_days, rivals.GAIN_005)
        each = zip(*(one[:, None] for one in rivals.compared(worlds)), strict=True)
        return sum(judge.promotes(*one, n_days) is not None for one in each) / n

    assert power(DAYS) < 0.3
    assert power(140) >= 0.8

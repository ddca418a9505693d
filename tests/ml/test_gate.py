"""The gate: every rule with its numbers, and what decides where nothing can be compared."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ml.declared_gate import Gate
from ml.evaluation import Comparison, Evaluation
from ml.gate import decide, is_test_due
from ml.paired import Paired
from ml.spending import Spending, spend

CHAMPION = "3f2a" + "0" * 60


def _gate(floor: dict[str, float] | None = None, metric: str = "roc_auc", **rule: Any) -> Gate:
    against = {"metric": metric, **({"max_drop": 0.002} if rule.get("rule") != "better" else {}), **rule}
    return Gate.model_validate({"floor": floor or {"roc_auc": 0.7}, "against_champion": against})


def _judged(
    evaluation: Evaluation, ours: float, theirs: float | None = None, name: str = "roc_auc"
) -> Evaluation:
    metrics = {**evaluation.metrics, name: ours}
    if theirs is None:
        return replace(evaluation, metrics=metrics)
    beside = Comparison(
        date(2013, 11, 1), date(2013, 12, 31), 52110, 0, metrics, {**metrics, name: theirs}, ()
    )
    return replace(evaluation, metrics=metrics, champion=CHAMPION, comparison=beside)


def test_below_the_floor_is_refused(evaluation: Evaluation) -> None:
    decision = decide(_judged(evaluation, 0.6123), _gate())
    assert not decision.promote
    assert decision.text == "roc_auc 0.612 is below the declared floor 0.700"
    assert decision.reasons[1].text == "there is no champion yet to compare with"


def test_a_metric_that_should_be_low_has_a_limit(evaluation: Evaluation) -> None:
    gate = _gate({"log_loss": 0.6, "roc_auc": 0.7})
    judged = replace(evaluation, metrics={**evaluation.metrics, "log_loss": 0.6171, "roc_auc": 0.75})
    assert decide(judged, gate).text == "log_loss 0.617 is above the declared limit 0.600"
    judged = replace(evaluation, metrics={**evaluation.metrics, "log_loss": 0.51, "roc_auc": 0.75})
    assert decide(judged, gate).promote
    assert "log_loss 0.510 is within the declared limit 0.600" in decide(judged, gate).text


def test_worse_than_the_champion_is_refused_with_both_numbers(evaluation: Evaluation) -> None:
    decision = decide(_judged(evaluation, 0.741, 0.750), _gate())
    assert not decision.promote
    assert decision.text == (
        "roc_auc 0.741 is 0.009 below the champion 3f2a00000000 0.750 on the same 52,110 rows "
        "(2013-11-01 to 2013-12-31); allowed to be worse by 0.002"
    )


@pytest.mark.parametrize(
    ("name", "values", "promoted", "told"),
    [
        ("roc_auc", (0.748, 0.750), True, "is 0.002 below"),
        ("roc_auc", (0.74799, 0.750), False, "is 0.00201 below"),
        ("roc_auc", (0.760, 0.750), True, "is 0.010 above"),
        ("roc_auc", (0.750, 0.750), True, "is equal to"),
        ("brier", (0.170, 0.160), False, "is 0.010 above"),
        ("brier", (0.150, 0.160), True, "is 0.010 below"),
        ("roc_auc", (0.7500001, 0.75), True, "roc_auc 0.7500001 is 0.000 above"),
    ],
)
def test_at_the_edge(
    evaluation: Evaluation, name: str, values: tuple[float, float], promoted: bool, told: str
) -> None:
    judged = _judged(_judged(evaluation, 0.75), *values, name)
    decision = decide(judged, _gate(metric=name))
    assert decision.promote is promoted
    assert told in decision.reasons[-1].text


def test_not_comparable_goes_by_the_declared_rule(evaluation: Evaluation) -> None:
    judged = replace(_judged(evaluation, 0.75), champion=CHAMPION, not_comparable="there are no common days")
    refused, promoted = decide(judged, _gate()), decide(judged, _gate(if_not_comparable="promote"))
    assert (refused.promote, promoted.promote) == (False, True)
    assert refused.text == (
        "not comparable with the champion 3f2a00000000: there are no common days; "
        "by the declared rule if_not_comparable it is refused"
    )


def test_the_champion_itself_needs_no_comparison(evaluation: Evaluation) -> None:
    judged = replace(_judged(evaluation, 0.75), champion=evaluation.version)
    assert decide(judged, _gate()).text.endswith("it is the champion itself")


PROOF = Spending(level=0.001, left=0.049, nth=1)


def _tested(evaluation: Evaluation, paired: Paired | str) -> Evaluation:
    judged = _judged(evaluation, 0.760, 0.750, paired.metric if isinstance(paired, Paired) else "roc_auc")
    assert judged.comparison is not None
    return replace(judged, comparison=replace(judged.comparison, paired=paired))


def _better(**rule: Any) -> Gate:
    return _gate(rule="better", **rule)


def test_better_must_be_proven_at_the_level_that_is_spent(evaluation: Evaluation) -> None:
    judged = _tested(evaluation, Paired("roc_auc", 0.010, 0.002, 28))
    assert is_test_due(judged, _better(min_effect=0.001))
    decision = decide(judged, _better(min_effect=0.001), PROOF)
    assert decision.promote
    assert decision.reasons[-1].text == (
        "roc_auc 0.760 is 0.010 above the champion 3f2a00000000 0.750 on the same 52,110 rows (2013-11-01 to "
        "2013-12-31); over 28 blocks of days it is better by 0.0100 (95 % interval 0.0059 to 0.0141), proven "
        "to be better by more than 0.001: p 5.8e-05 ≤ 0.001 (test 1 within a year, 0.0490 of 0.05 left)"
    )
    assert decision.test is not None
    assert (decision.test.p_value, decision.test.level) == (pytest.approx(5.8e-5, rel=0.01), 0.001)
    refused = decide(judged, _better(min_effect=0.005), PROOF)
    assert not refused.promote
    assert "not proven to be better by more than 0.005: p 0.0094 > 0.001" in refused.text


def test_no_worse_is_not_better(evaluation: Evaluation) -> None:
    judged = _tested(evaluation, Paired("roc_auc", 0.0, 0.002, 28))
    assert not decide(judged, _better(), PROOF).promote
    assert decide(judged, _gate()).promote
    same_scores = _tested(evaluation, Paired("roc_auc", 0.0, 0.0, 28))
    assert not decide(same_scores, _better(), PROOF).promote


def test_below_the_floor_no_test_is_made_and_nothing_spent(evaluation: Evaluation) -> None:
    judged, gate = _tested(evaluation, Paired("roc_auc", 0.01, 0.002, 28)), _better(floor={"roc_auc": 0.9})
    assert not is_test_due(judged, gate)
    assert "not put to the test, which would spend, as another rule is not met" in decide(judged, gate).text


def test_too_few_days_are_not_comparable(evaluation: Evaluation) -> None:
    judged = _tested(evaluation, "there are 3 days that neither was trained on, at least 7 are needed")
    assert not is_test_due(judged, _better())
    assert "not comparable with the champion 3f2a00000000: there are 3 days" in decide(judged, _better()).text
    assert decide(judged, _better(if_not_comparable="promote")).promote
    other = _tested(evaluation, Paired("brier", 0.01, 0.002, 28))
    assert "it was compared by brier" in decide(other, _better()).text


def test_levels_of_a_year_never_add_up_to_more_than_the_budget() -> None:
    spent: list[float] = []
    for nth in range(1, 1001):
        spending = spend(spent, 0.05, 0.02)
        assert spending.nth == nth
        spent.append(spending.level)
        assert sum(spent) + spending.left == pytest.approx(0.05)
    assert spent[0] == pytest.approx(0.001)
    assert all(level > 0 for level in spent)
    assert spend([0.03, 0.03], 0.05, 0.02).level == 0, "the declared budget was made smaller"

"""The gate: every rule with its numbers, and what decides where nothing can be compared."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ml.declaration import Gate
from ml.evaluation import Comparison, Evaluation
from ml.gate import decide

CHAMPION = "3f2a" + "0" * 60


def _gate(floor: dict[str, float] | None = None, metric: str = "roc_auc", **rule: Any) -> Gate:
    against = {"metric": metric, "max_drop": 0.002, **rule}
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

"""A candidate that proves no better than the champion fails no run; one below the declared floor does."""

from collections.abc import Iterator

import dagster as dg
import pytest

from ml.ledger import Ledger
from tests.assets.meters import MODEL, Meters, day, failures

BETTER = {"metric": "roc_auc", "rule": "better", "min_effect": 0.9}
GATE = {"floor": {"roc_auc": 0.0}, "against_champion": BETTER}


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """A project whose first model is champion, and can be beaten by none."""
    with pytest.MonkeyPatch.context() as patch:
        made = Meters(tmp_path_factory.mktemp("meters"), patch)
        made.model = {**MODEL, "gate": GATE, "split": {"holdout_days": 7}}
        for n in range(9):
            made.land_readings(day(n))
        (first,) = made.run(*made.due())
        assert failures(first) == ""
        yield made


def kinds(meters: Meters) -> list[str]:
    """What the ledger says happened, in order."""
    ledger = Ledger(meters.settings.ledger_url)
    return [entry.kind for entry in ledger.history("high_reading")]


def gate_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (gate,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "gate"]
    return gate


def test_a_candidate_that_is_no_better_leaves_the_champion_and_the_run_succeeds(meters: Meters) -> None:
    meters.land_readings(day(9))
    (result,) = meters.run(*meters.due())
    assert failures(result) == ""
    gate = gate_of(result)
    assert not gate.passed
    assert gate.severity == dg.AssetCheckSeverity.WARN
    assert kinds(meters)[-3:] == ["registered", "compared", "refused"]
    made = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    assert "evaluation" in made
    assert not {"champion", "bento"} & made
    (observed,) = [
        one for one in result.get_asset_observation_events() if one.asset_key.path[-1] == "champion"
    ]
    told = observed.asset_observation_data.asset_observation.metadata
    assert "roc_auc" in str(told["refused"].value)


def test_a_candidate_below_the_floor_fails_the_run(meters: Meters) -> None:
    meters.model = {**meters.model, "gate": {**GATE, "floor": {"roc_auc": 1.0}}}
    meters.land_readings(day(10))
    (result,) = meters.run(*meters.due())
    assert "gate" in failures(result)
    assert gate_of(result).severity == dg.AssetCheckSeverity.ERROR
    assert kinds(meters)[-1] == "refused"

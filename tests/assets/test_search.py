"""A search shows in the UI and in the terminal while it runs; an evaluation shows its baseline."""

from collections.abc import Iterator

import dagster as dg
import pytest

from assets.keys import SEARCH_TRIALS, SEARCHED
from headwater.run import Told, _Steps
from tests.assets.meters import MODEL, MODEL_STEPS, Meters, day, failures

N_TRIALS = 3
SEARCH = {
    "metric": "roc_auc",
    "space": {"num_leaves": {"low": 2, "high": 8}, "min_data_in_leaf": {"choices": [1, 5]}},
    "trials": N_TRIALS,
    "holdout_days": 2,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Meters, dg.ExecuteInProcessResult]]:
    """A project whose model's parameters were searched, and the run that did it."""
    with pytest.MonkeyPatch.context() as patch:
        meters = Meters(tmp_path_factory.mktemp("meters"), patch)
        for n in range(6):
            meters.land_readings(day(n))
        meters.model = {**MODEL, "search": SEARCH}
        (result,) = meters.run(*meters.due(), without=MODEL_STEPS[3:])
        yield meters, result


def test_every_trial_is_observed_on_the_candidate_before_it_is_made(
    run: tuple[Meters, dg.ExecuteInProcessResult],
) -> None:
    meters, result = run
    told = failures(result)
    assert "gate" in told or told == "", told
    entries = list(meters.instance.all_logs(result.run_id))
    bars: list[tuple[str, int, int | None, str]] = []
    steps = _Steps(Told(lambda *_: None, lambda *told: bars.append(told), lambda _: None))
    observed, made = [], []
    for place, entry in enumerate(entries):
        steps.hear(entry)
        event = entry.dagster_event
        if event and event.is_asset_observation and event.step_key.endswith("candidate"):
            observed.append((place, event.asset_observation_data.asset_observation.metadata))
        if event and event.is_step_materialization and event.asset_key.path[-1] == "candidate":
            made.append((place, event.step_materialization_data.materialization.metadata))
    assert [told[SEARCHED].value for _, told in observed] == list(range(N_TRIALS + 1))
    assert {told[SEARCH_TRIALS].value for _, told in observed} == {N_TRIALS}
    assert observed[-1][0] < made[0][0]
    assert observed[-1][1]["best_roc_auc"].value == made[0][1]["searched_roc_auc"].value
    assert [(done, in_all) for _, done, in_all, _ in bars] == [(n, N_TRIALS) for n in range(N_TRIALS + 1)]
    assert bars[-1][0].endswith("candidate")
    assert "best" in bars[-1][3]
    assert any("search: trial 3 of 3" in entry.user_message for entry in entries)


def test_the_baseline_stands_beside_the_candidate(run: tuple[Meters, dg.ExecuteInProcessResult]) -> None:
    _, result = run
    (evaluated,) = [
        event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key.path[-1] == "evaluation"
    ]
    records = evaluated["beside_baseline"].records
    assert {record.data["metric"] for record in records} >= {"roc_auc", "log_loss"}
    assert all(isinstance(record.data["linear"], float) for record in records)

"""The asset of a backtest: made by its own job, kept in the registry, shown by the next evaluation."""

from collections.abc import Iterator

import dagster as dg
import pytest

from assets.automation import BACKTESTS_JOB
from ml.arrivals import Segment
from ml.backtest import Backtest
from ml.registry import Registry
from tests.assets.meters import MODEL_STEPS, Meters, day, failures

BACKTEST = dg.AssetKey(["high_reading", "backtest"])


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """A project with ten days computed whose model declares a backtest, and nothing trained."""
    with pytest.MonkeyPatch.context() as patch:
        made = Meters(tmp_path_factory.mktemp("meters"), patch)
        made.model = made.model | {"backtest": {"every": "week", "min_train_days": 2}}
        for n in range(10):
            made.land_readings(day(n))
        for result in made.run(*made.due(), without=[*MODEL_STEPS, "high_reading/training_set"]):
            assert failures(result) == ""
        yield made


def test_it_is_made_by_its_job_and_shown_by_the_next_evaluation(meters: Meters) -> None:
    made = meters.definitions().resolve_job_def(BACKTESTS_JOB).execute_in_process(instance=meters.instance)
    (event,) = made.asset_materializations_for_node("high_reading__backtest")
    code = str(event.metadata["code"].value)
    assert {"folds", "backtest", "roc_auc_least"} <= event.metadata.keys()
    registry = Registry(meters.settings.registry)
    over = Backtest.from_json(registry.get_backtest("high_reading", code) or b"")
    # 10 days from Friday 1 March 2013.
    assert [fold.name for fold in over.folds] == ["2013-03-04"]
    assert over.measured
    assert (registry.get_backtest("high_reading", code, "backtest.png") or b"").startswith(b"\x89PNG")

    steps = ["high_reading/training_set", *MODEL_STEPS[:2]]
    (judged,) = meters.run(Segment(day(0), day(9), (), "asked for"), only=steps, tags={})
    (shown,) = judged.asset_materializations_for_node("high_reading__evaluation")
    assert "backtest" in shown.metadata
    assert "Trained before each of" in str(shown.metadata["card"].value)

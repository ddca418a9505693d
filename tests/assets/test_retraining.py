"""Training again is due when what training reads is made otherwise, and for nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest

from assets.components.model_steps import Steps
from assets.resources import Platform
from ml.declaration import ModelDeclaration
from tests.assets.meters import MODEL, MODEL_STEPS, Meters, day, failures

SUMS = "models/intermediate/int_meter_sums.sql"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """A project with five days computed and one candidate trained."""
    with pytest.MonkeyPatch.context() as patch:
        made = Meters(tmp_path_factory.mktemp("meters"), patch)
        for n in range(5):
            made.land_readings(day(n))
        (built,) = made.run(*made.due(), without=MODEL_STEPS[1:])
        assert failures(built) == ""
        yield made


def why(meters: Meters, **declared: Any) -> str | None:
    """The reason for training again with another declaration; None when there is none."""
    parts = {k: v for k, v in MODEL.items() if k not in ("description", "owners")} | declared
    parts["retrain"] = declared.get("retrain", {"after_new_days": 100})
    decision = Steps(ModelDeclaration.parse(parts), meters.runner).retrain_decision(Platform())
    return decision.reason if decision.is_due else None


def test_another_gate_or_policy_trains_nothing(trained: Meters) -> None:
    assert why(trained) is None
    gate = {"floor": {"roc_auc": 0.9}, "against_champion": {"metric": "roc_auc", "max_drop": 0}}
    assert why(trained, gate=gate) is None
    assert why(trained, retrain={"after_new_days": 50}) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"engine": {**MODEL["engine"], "seed": 2}},
        {"features": {**MODEL["features"], "columns": ["meter_id", "read_hour"]}},
        {"split": {"holdout_days": 2}},
    ],
)
def test_what_training_reads_trains_again(trained: Meters, changed: dict[str, Any]) -> None:
    assert "what training reads" in str(why(trained, **changed))


def test_tables_that_give_the_same_rows_train_nothing(trained: Meters) -> None:
    with trained.edited(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} + 0 as"):
        trained.run(*trained.due(), without=MODEL_STEPS)
        assert why(trained) is None


def test_tables_that_give_other_rows_train_again(trained: Meters) -> None:
    with trained.edited(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} + 1 as"):
        trained.run(*trained.due(), without=MODEL_STEPS)
        assert "rows are not what the tables' code makes" in str(why(trained))


def test_other_sql_for_serving_trains_again(trained: Meters) -> None:
    features = "models/features/reading_features.sql"
    with trained.edited(features, "'hour', read_at)", "'hour', read_at) + 0"):
        trained.run(*trained.due(), without=MODEL_STEPS)
        assert "SQL that serves features" in str(why(trained))

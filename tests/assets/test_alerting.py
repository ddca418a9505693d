"""What is wrong in a small project, as alerts: found in what Dagster, the ledger and the lake say."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa
import pytest

from assets.alerting import alerts, failed_checks, log_gaps, old_features
from ml.declaration import ModelDeclaration
from ml.lake.published import PublishBatch
from ml.ledger import Ledger
from tests.assets.meters import MODEL, Meters, day


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    with pytest.MonkeyPatch.context() as patch:
        made = Meters(tmp_path_factory.mktemp("alerts"), patch)
        for n in range(4):
            made.land_readings(day(n), bad=n == 3)
        yield made


def declared(**features: object) -> dict[str, ModelDeclaration]:
    plain = {name: value for name, value in MODEL.items() if name not in ("description", "owners")}
    return {"high_reading": ModelDeclaration.parse({**plain, "features": {**MODEL["features"], **features}})}


def test_a_check_that_fails_is_one_alert_with_its_text_and_what_to_do(meters: Meters) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        graph = meters.definitions().resolve_asset_graph()
        raw = next(key for key in graph.asset_check_keys if key.name == "quarantine")
        told = "3 rows break a rule"
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=raw.asset_key,
                check_name=raw.name,
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description=told,
                metadata={},
            )
        )
        (alert,) = failed_checks(instance, graph)
        assert (alert.severity, alert.text) == ("warning", told)
        assert alert.next.startswith(f"`headwater quarantine {raw.asset_key.path[-1]}`")
        assert list(alerts(instance, graph, meters.settings, {})) == [alert]


def test_a_gap_in_the_log_is_told_for_a_day(meters: Meters) -> None:
    assert list(log_gaps(meters.settings)) == []
    with Ledger(meters.settings.ledger_url).transaction() as act:
        act.add(
            "log_gap", "high_reading", "", reason="12 answers are lost", details={}, actor="endpoint host/1"
        )
    (alert,) = log_gaps(meters.settings)
    assert alert.text == "12 answers are lost"


def test_features_older_than_declared_are_told(meters: Meters) -> None:
    assert list(old_features(meters.settings, declared(max_age_hours=24))) == []  # nothing is published yet
    days = pa.array([day(0), day(1)], pa.date32())
    rows = pa.table({"reading_id": ["a", "b"], "day": days})
    meters.published.publish({"reading_features": PublishBatch(rows, day(0), day(1))})
    assert list(old_features(meters.settings, declared())) == []
    assert list(old_features(meters.settings, declared(max_age_hours=10**6))) == []
    (alert,) = old_features(meters.settings, declared(max_age_hours=24))
    assert alert.text.startswith(f"the newest are of {day(1)}, ")
    assert alert.text.endswith(" hours old, and 24 are declared")

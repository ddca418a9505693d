"""A range of partitions is stored as one batch, and reads back as if stored one event at a time."""

from pathlib import Path

import dagster as dg
import pytest

from assets.event_log import BatchedSqliteEventLogStorage
from headwater.instance import environment, make_instance
from ml.settings import Settings

DAYS = dg.DailyPartitionsDefinition(start_date="2013-01-01", end_date="2014-01-01")
RANGE = {
    "dagster/asset_partition_range_start": "2013-01-01",
    "dagster/asset_partition_range_end": "2013-02-28",
}


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def daily() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 7}, tags={"seen": "yes"})


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    make_instance(settings)
    return dg.DagsterInstance.get()


def test_a_range_of_days_is_all_there(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.event_log_storage, BatchedSqliteEventLogStorage)
    for _ in range(2):
        assert dg.materialize([daily], instance=instance, tags=RANGE).success
    days = {f"2013-01-{n:02d}" for n in range(1, 32)} | {f"2013-02-{n:02d}" for n in range(1, 29)}
    assert instance.get_materialized_partitions(daily.key) == days
    records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=daily.key), limit=1000).records
    assert len(records) == 2 * len(days)
    assert len({record.storage_id for record in records}) == len(records)
    newest = instance.get_latest_materialization_event(daily.key)
    assert newest is not None
    assert newest.run_id == records[0].run_id
    tags = instance.get_event_tags_for_asset(daily.key)
    assert len(tags) == 2 * len(days)


def test_an_instance_is_made_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert make_instance(settings)
    assert not make_instance(settings)
    told = (settings.home / "dagster" / "dagster.yaml").read_text()
    assert "telemetry: {enabled: false}" in told

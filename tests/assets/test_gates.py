"""A training set is made of rows that passed their blocking checks only, however anyone asks for one.

A planted row breaks a blocking test of a table that features and labels are made from.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from assets.automation import LANDED_JOB, landing_sensor
from assets.resources import Platform
from ml.arrivals import Segment
from ml.declaration import ModelDeclaration
from ml.errors import HeadwaterError, NothingPublished, Uncertified
from ml.lake.published import PublishBatch
from ml.lake.workshop import Workshop
from ml.training_set import assemble
from tests.assets.meters import MODEL, MODEL_STEPS, Meters, day, failures

N_DAYS, BAD = 4, 2
TABLES = ["features/reading_features", "labels/reading_labels"]
BAD_READING = "m1-20130303T00"
RAW = ["raw/readings", "raw/meters", "staging/stg_meters", "intermediate/int_kinds"]


@pytest.fixture
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """A project in which one of four landed days has a bad row; nothing is computed yet."""
    with pytest.MonkeyPatch.context() as patch:
        made = Meters(tmp_path_factory.mktemp("meters"), patch)
        for n in range(N_DAYS):
            made.land_readings(day(n), bad=n == BAD)
        yield made


def days(first: int, last: int) -> dict[str, str]:
    """Tags of a run over a range of days, as the UI and backfills give them."""
    return {
        ASSET_PARTITION_RANGE_START_TAG: str(day(first)),
        ASSET_PARTITION_RANGE_END_TAG: str(day(last)),
    }


def whole() -> Segment:
    return Segment(day(0), day(N_DAYS - 1), ("meters", "readings"), "digest")


def declaration() -> ModelDeclaration:
    return ModelDeclaration.parse({k: v for k, v in MODEL.items() if k not in ("description", "owners")})


def plainly(meters: Meters) -> dict[str, list[str]] | HeadwaterError:
    """The keys of the training set that a plain call gives, by side; or the refusal."""
    try:
        rows = assemble(meters.published, declaration())
    except HeadwaterError as refusal:
        return refusal
    return {"train": rows.train["reading_id"].to_pylist(), "test": rows.test["reading_id"].to_pylist()}


def has_training_set(result: dg.ExecuteInProcessResult) -> bool:
    keys = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    return "high_reading/training_set" in keys


def by_automation(meters: Meters) -> dg.ExecuteInProcessResult:
    """What the sensor asks for."""
    definitions = meters.definitions()
    job = definitions.resolve_job_def(LANDED_JOB)
    context = dg.build_sensor_context(
        instance=meters.instance, repository_def=definitions.get_repository_def()
    )
    (request,) = landing_sensor([job])(context).run_requests
    (result,) = meters.run(whole(), only=_names(request.asset_selection), tags=dict(request.tags))
    return result


def by_hand(meters: Meters) -> dg.ExecuteInProcessResult:
    """What the UI runs for selected assets with all their checks unselected; upstream was run before."""
    meters.run(whole(), only=RAW, tags=days(0, N_DAYS - 1))
    meters.run(whole(), only=["staging/stg_readings"], tags=days(0, N_DAYS - 1), checked=False)
    below = ["intermediate/int_meter_sums", "features/reading_spine", *TABLES, "high_reading/training_set"]
    (result,) = meters.run(whole(), only=below, tags=days(0, N_DAYS - 1), checked=False)
    return result


def by_backfill(meters: Meters) -> dg.ExecuteInProcessResult:
    """A backfill of all days: one run, with the tags that a backfill gives it."""
    tags = days(0, N_DAYS - 1) | {"dagster/backfill": "abcdefgh"}
    (result,) = meters.run(whole(), without=MODEL_STEPS, tags=tags)
    return result


def by_job(meters: Meters) -> dg.ExecuteInProcessResult:
    """The job as it stands, over the days."""
    return meters.job().execute_in_process(
        instance=meters.instance, tags=days(0, N_DAYS - 1), raise_on_error=False
    )


def by_call(meters: Meters) -> None:
    """Rows that dbt built are published by whoever has them, with no word of any check."""
    by_job(meters)
    meters.build_without_checks(str(day(0)), str(day(N_DAYS - 1)))
    with Workshop(meters.settings).turn() as turn, turn.connect() as connection:
        batches = {
            name.partition("/")[2]: PublishBatch(
                connection.execute(f"select * from {name.replace('/', '.')}").to_arrow_table(),
                day(0),
                day(N_DAYS - 1),
            )
            for name in TABLES
        }
    Platform().published().publish(batches)


@pytest.mark.parametrize("way", [by_automation, by_hand, by_backfill, by_job])
def test_a_run_gets_no_training_set_from_a_bad_row(
    meters: Meters, way: Callable[[Meters], dg.ExecuteInProcessResult]
) -> None:
    result = way(meters)
    assert not result.success
    assert not has_training_set(result)
    assert "no_meter_gives_power" in failures(result)
    assert isinstance(plainly(meters), NothingPublished)


def test_a_plain_call_gets_none_of_rows_published_without_checks(meters: Meters) -> None:
    by_call(meters)
    refusal = plainly(meters)
    assert isinstance(refusal, Uncertified)
    assert "names no checks" in str(refusal)
    (result,) = meters.run(whole(), only=["high_reading/training_set"], tags={})
    assert not result.success
    assert "not certified" in failures(result)


def test_a_failed_check_of_other_days_holds_for_the_days_that_read_them(meters: Meters) -> None:
    before = days(0, BAD - 1)
    (good,) = meters.run(whole(), without=MODEL_STEPS, tags=before)
    assert failures(good) == ""
    (bad,) = meters.run(whole(), without=[*MODEL_STEPS, *RAW[1:]], tags=days(BAD, BAD))
    assert "no_meter_gives_power" in failures(bad)
    (after,) = meters.run(whole(), without=[*MODEL_STEPS, *RAW[1:]], tags=days(N_DAYS - 1, N_DAYS - 1))
    assert not has_training_set(after)
    found = plainly(meters)
    assert isinstance(found, dict)
    assert not any(BAD_READING in keys for keys in found.values())
    (only_features,) = meters.run(
        whole(), only=["intermediate/int_meter_sums"], tags=days(N_DAYS - 1, N_DAYS - 1)
    )
    assert f'rows of {day(BAD)} of "stg_readings" that are not certified' in failures(only_features)
    assert "no_meter_gives_power" in failures(only_features)


def test_a_landed_correction_gives_the_training_set(meters: Meters) -> None:
    assert not by_job(meters).success
    meters.land_readings(day(BAD))
    result = by_automation(meters)
    assert failures(result) == ""
    assert has_training_set(result)
    found = plainly(meters)
    assert isinstance(found, dict)
    assert BAD_READING in found["train"]
    assert len(found["train"]) + len(found["test"]) == N_DAYS * 24


def _names(keys: Sequence[dg.AssetKey]) -> list[str]:
    return [key.to_user_string() for key in keys if key.to_user_string() not in MODEL_STEPS]

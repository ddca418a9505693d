"""The asset graph written out by hand, so that a change to it is a readable difference."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from assets.automation import BACKTESTS_JOB, LANDED_JOB, MODELS_JOB, PROOFS_JOB, models, selection
from assets.calendar import project_calendars
from assets.dbt_runner import DbtRunner
from assets.definitions import build
from ml.arrivals import Segment
from ml.settings import Settings
from tests.project_folder import ROOT

SOURCES = {
    *("airlines", "airports", "flights", "planes", "schedules", "weather"),
    *("pizza_menu", "pizza_sales"),
    "late_arrival_predictions",
}
MODELS = ("late_arrival", "pizza_demand")
STEPS = {
    *("training_set", "candidate", "evaluation", "champion", "bento", "endpoint"),
    *("live_quality", "quality", "drift"),
}
GRAPH = {
    "landing": SOURCES,
    "raw": SOURCES,
    "staging": {f"stg_{source}" for source in SOURCES},
    "intermediate": {
        "int_aircraft_legs",
        "int_aircraft_progress",
        "int_carrier_operations",
        "int_destination_arrivals",
        "int_flight_events",
        "int_flight_number_history",
        "int_menu_sales",
        "int_origin_operations",
        "int_pizza_name_sales",
        "int_pizza_sales",
        "int_route_history",
        "int_schedule_load",
        "int_system_operations",
        "int_weather",
    },
    "features": {"flight_features", "flight_spine", "pizza_week_features", "pizza_week_spine"},
    "labels": {"flight_labels", "pizza_week_labels"},
    "monitoring": {"late_arrival_outcomes"},
    "late_arrival": STEPS | {"backtest", "batch_predictions"},
    "pizza_demand": STEPS,
}
MODEL_STEPS = {
    "training_set": {
        *("features/flight_features", "labels/flight_labels"),
        *("late_arrival/quality", "late_arrival/drift"),
    },
    "candidate": {"late_arrival/training_set"},
    "evaluation": {"late_arrival/training_set", "late_arrival/candidate"},
    "champion": {"late_arrival/evaluation"},
    "bento": {"late_arrival/champion"},
    "endpoint": {"late_arrival/bento", "late_arrival/champion"},
    "backtest": {"features/flight_features", "labels/flight_labels"},
    "live_quality": {
        *("features/flight_features", "labels/flight_labels"),
        "monitoring/late_arrival_outcomes",
    },
    "quality": {"features/flight_features", "labels/flight_labels"},
    "drift": {"features/flight_features", "labels/flight_labels"},
    "batch_predictions": {"features/flight_features", "features/flight_spine"},
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssetGraph]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWATER_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("HEADWATER_PROJECT", str(ROOT))
        yield build().resolve_asset_graph()


def test_every_asset_is_expected_and_in_its_group(graph: AssetGraph) -> None:
    found: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        folder, name = key.path
        assert graph.get(key).group_name == folder
        found.setdefault(folder, set()).add(name)
    assert found == GRAPH


def test_a_model_is_one_line_from_its_rows_to_its_endpoint(graph: AssetGraph) -> None:
    for step, parents in MODEL_STEPS.items():
        key = dg.AssetKey(["late_arrival", step])
        assert {parent.to_user_string() for parent in graph.get(key).parent_keys} == parents


def test_every_asset_is_described_owned_and_of_some_kind(graph: AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key


def test_what_blocks_promotion_is_a_blocking_check(graph: AssetGraph) -> None:
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert "gate" in blocking
    assert any(name.startswith("unique") for name in blocking)


def test_features_labels_and_what_they_are_looked_up_in_are_audited_for_leaks(graph: AssetGraph) -> None:
    audited = {key.asset_key.to_user_string() for key in graph.asset_check_keys if key.name == "leakage"}
    of_entities = {f"{layer}/{name}" for layer in ("features", "labels") for name in GRAPH[layer]}
    lookups = {f"intermediate/{name}" for name in GRAPH["intermediate"] - {"int_flight_events"}}
    assert audited == of_entities | lookups
    assert all(graph.get(key).blocking for key in graph.asset_check_keys if key.name == "leakage")


def test_daily_assets_have_the_days_and_the_others_none(graph: AssetGraph) -> None:
    daily = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).partitions_def}
    assert {"flights", "weather", "schedules", "stg_flights", "flight_features", "flight_labels"} <= daily
    assert not daily & {"planes", "stg_planes", "training_set", "champion"}


def test_weekly_assets_have_the_weeks_and_share_nothing_with_the_days(graph: AssetGraph) -> None:
    weekly = {
        key.path[-1]
        for key in graph.get_all_asset_keys()
        if isinstance(graph.get(key).partitions_def, dg.TimeWindowPartitionsDefinition)
        and graph.get(key).partitions_def.get_first_partition_key() == "2015-01-05"
    }
    assert {"pizza_sales", "stg_pizza_sales", "pizza_week_features", "pizza_week_labels"} <= weekly
    jobs = [definition_of(name) for name in (LANDED_JOB, "landed_weeks")]
    for job, model, other in zip(jobs, MODELS, reversed(MODELS), strict=True):
        keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
        assert f"{model}/champion" in keys
        assert not {key for key in keys if key.startswith(other)}


def definition_of(job: str) -> dg.JobDefinition:
    return build().resolve_job_def(job)


def test_new_days_touch_nothing_of_the_weeks_and_new_weeks_nothing_of_the_days(graph: AssetGraph) -> None:
    days, weeks = project_calendars(DbtRunner(Settings.from_env()))
    landed = {
        days: Segment(date(2013, 1, 2), date(2013, 1, 2), ("flights",), "digest", calendar=days),
        weeks: Segment(date(2015, 1, 5), date(2015, 1, 5), ("pizza_sales",), "digest", calendar=weeks),
    }
    touched = {one: {key.path[-1] for key in selection(landed[one], graph)} for one in landed}
    assert {"flights", *days.tables} < touched[days]
    assert {"pizza_sales", *weeks.tables} < touched[weeks]
    assert touched[days] & touched[weeks] == STEPS - {"endpoint"}


def test_new_days_touch_no_reference_table(graph: AssetGraph) -> None:
    segment = Segment(date(2013, 1, 2), date(2013, 1, 2), ("flights", "weather"), "digest")
    touched = {key.to_user_string() for key in selection(segment, graph)}
    assert {"raw/flights", "raw/weather", "features/flight_features", "late_arrival/champion"} <= touched
    assert not touched & {"raw/planes", "raw/schedules", "staging/stg_planes", "staging/stg_airlines"}


def test_every_table_is_checked_for_sql_that_does_not_repeat(graph: AssetGraph) -> None:
    linted = {key.asset_key.path[-1] for key in graph.asset_check_keys if key.name == "deterministic_sql"}
    layers = ("staging", "intermediate", "features", "labels", "monitoring")
    assert linted == set().union(*(GRAPH[layer] for layer in layers))
    assert all(graph.get(key).blocking for key in graph.asset_check_keys if key.name == "deterministic_sql")


def test_proofs_run_every_night_and_not_with_landed_files(graph: AssetGraph) -> None:
    definitions = build()
    steps = {
        name: {node.name for node in definitions.resolve_job_def(name).nodes}
        for name in (PROOFS_JOB, LANDED_JOB)
    }
    answers = {f"{model}__endpoint_answers" for model in MODELS}
    assert steps[PROOFS_JOB] == {"incremental_equals_full", "same_with_any_threads"} | answers
    assert not steps[PROOFS_JOB] & steps[LANDED_JOB]
    proved = {key for key in graph.asset_check_keys if key.name in steps[PROOFS_JOB]}
    assert {key.asset_key.path[-1] for key in proved} >= {"flight_features", "flight_labels", "stg_planes"}
    schedule = definitions.resolve_schedule_def("nightly_proofs")
    assert schedule.job_name == PROOFS_JOB
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_every_job_has_assets_of_one_kind_of_partitions() -> None:
    repository = build().get_repository_def()
    repository.load_all_definitions()
    assert set(repository.job_names) >= {LANDED_JOB, "landed_weeks", MODELS_JOB, PROOFS_JOB}
    steps = {key.path[-1] for key in repository.get_job(MODELS_JOB).asset_layer.executable_asset_keys}
    assert steps == STEPS - {"endpoint"} | {"batch_predictions"}


def test_backtests_run_every_week_and_not_with_landed_files_nor_retraining(graph: AssetGraph) -> None:
    from datetime import date

    definitions = build()
    job, landed = (definitions.resolve_job_def(name) for name in (BACKTESTS_JOB, LANDED_JOB))
    assert {node.name for node in job.nodes} == {"late_arrival__backtest"}
    assert "late_arrival__backtest" not in {node.name for node in landed.nodes}
    key = dg.AssetKey(["late_arrival", "backtest"])
    of_days = Segment(date(2013, 1, 2), date(2013, 1, 2), ("flights",), "digest")
    of_tables = Segment(date(2013, 1, 2), date(2013, 1, 2), (), "digest", ("flight_features",))
    for segment in (of_days, of_tables):
        touched = set(selection(segment, graph))
        assert dg.AssetKey(["late_arrival", "candidate"]) in touched
        assert key not in touched
    assert key not in set(models(graph))
    schedule = definitions.resolve_schedule_def("weekly_backtests")
    assert schedule.job_name == BACKTESTS_JOB
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_one_sensor_runs_what_landed() -> None:
    definitions = build()
    sensor = definitions.resolve_sensor_def("landing")
    assert {job.name for job in sensor.jobs} == {LANDED_JOB, "landed_weeks"}
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_sources_code_is_where_the_graph_says(graph: AssetGraph) -> None:
    node = graph.get(dg.AssetKey(["features", "flight_features"]))
    references = node.metadata["dagster/code_references"].code_references
    files = {Path(reference.file_path).name for reference in references}
    assert {"flight_features.sql", "flight_features.yml"} <= files

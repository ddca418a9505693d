"""Audit and proofs on the real project: nothing in weeks of real days, and a planted leak stops a run."""

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner, Result
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from assets.automation import LANDED_JOB
from assets.calendar import project_calendars
from assets.compiled_tables import audited_tables
from assets.components.leakage_check import leakage_results
from assets.dbt_runner import DbtRunner
from assets.definitions import build as definitions
from assets.table_proofs import PROOFS
from headwater.cli import main
from headwater.instance import environment
from headwater.nycflights import land
from ml.computed import Arrival, Computed
from ml.lake.published import Published
from ml.lake.workshop import Workshop
from ml.settings import Settings
from tests.assets.test_tables import build, filled
from tests.project_folder import ROOT

FIRST, LAST = date(2013, 3, 1), date(2013, 3, 21)
LABELS = "dbt_project/models/labels/flight_labels.sql"


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Three weeks with the night on which the clocks go forward, built."""
    folder = tmp_path_factory.mktemp("weeks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWATER_HOME", str(folder / "home"))
        patch.setenv("HEADWATER_LANDING", str(folder / "landing"))
        patch.setenv("HEADWATER_PROJECT", str(ROOT))
        patch.setenv("HEADWATER_WORKSHOP", "")
        settings = Settings.from_env()
        land(settings.landing, FIRST, LAST)
        build(filled(settings), str(FIRST), str(LAST))
        arrivals = [Arrival("flights", day, str(day)) for day in (FIRST, LAST)]
        Computed(settings).record(arrivals, 1)
        yield settings


def prove(*args: str) -> Result:
    return CliRunner().invoke(main, ["prove", *args])


def audit(*args: str) -> Result:
    return CliRunner().invoke(main, ["audit", *args])


def test_three_weeks_of_real_flights_have_no_leak(weeks: Settings) -> None:
    answered = audit("--cutoffs", "4", "--seed", "3", "--json")
    told = json.loads(answered.output)
    assert (answered.exit_code, told["leaks"], told["stand_otherwise"]) == (0, [], [])
    assert [cutoff["why"] for cutoff in told["cutoffs"]].count("the clock changes in America/New_York") == 1
    runner = DbtRunner(weeks)
    days, _ = project_calendars(runner)
    by_day = {table for table in audited_tables(runner).values() if table.rpartition(".")[2] in days.tables}
    assert {table for table, n in told["compared"].items() if n > 0} == by_day


def test_one_table_is_audited_when_it_is_named(weeks: Settings) -> None:
    told = json.loads(audit("--cutoffs", "1", "--table", "flight_labels", "--json").output)
    assert list(told["compared"]) == ["labels.flight_labels"]


def test_a_table_that_is_not_audited_is_answered_with_the_nearest(weeks: Settings) -> None:
    refused = audit("--table", "flight_label")
    assert refused.exit_code == 1
    assert "'flight_labels'" in refused.output


def test_each_table_of_a_run_has_its_own_result(weeks: Settings) -> None:
    runner = DbtRunner(weeks)
    days, _ = project_calendars(runner)
    ids = [id_ for id_ in audited_tables(runner) if id_.rpartition(".")[2] in days.tables]
    with Workshop(weeks).turn():
        results = list(leakage_results(runner, ids, days, "2013-03-10", "2013-03-10"))
    assert [result.unique_id.split(".")[2] for result in results] == [id_.split(".")[2] for id_ in ids]
    assert {result.status for result in results} == {"pass"}
    assert all("2013-03-10" in result.message for result in results)


def test_the_same_weeks_are_what_a_full_rebuild_gives_with_any_number_of_threads(weeks: Settings) -> None:
    answered = prove("--json")
    told = json.loads(answered.output)
    assert answered.exit_code == 0
    assert "flight_features" in told["tables"]
    for proof in PROOFS:
        assert (told[proof]["faults"], told[proof]["stale"]) == ({}, {})
        assert told[proof]["days"][1] == str(LAST)


def test_a_changed_cell_is_told_by_the_command(weeks: Settings) -> None:
    changed = (
        "update labels.flight_labels set is_late = not is_late where flight_id = (select min(flight_id) "
    )
    changed += (
        "from labels.flight_labels where is_late is not null and day = '2013-03-10') returning flight_id"
    )
    with Workshop(weeks).turn() as turn, turn.connect() as con:
        (flight,) = con.execute(changed).fetchall()[0]
    answered = prove("--table", "flight_labels")
    with Workshop(weeks).turn() as turn, turn.connect() as con:
        con.execute("update labels.flight_labels set is_late = not is_late where flight_id = ?", [flight])
    assert answered.exit_code == 1
    for part in ("labels.flight_labels, day 2013-03-10", flight, "is_late is"):
        assert part in answered.output
    assert "'flight_labels'" in prove("--table", "flight_label").output


@pytest.fixture
def leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A copy of the project whose labels claim to be known when the flight leaves; four days have landed."""
    project = tmp_path / "project"
    shutil.copytree(ROOT / "dbt_project", project / "dbt_project", ignore=shutil.ignore_patterns("target"))
    shutil.copytree(ROOT / "assets" / "defs", project / "assets" / "defs")
    sql = (project / LABELS).read_text()
    (project / LABELS).write_text(sql.replace("arrival_known_at,", "departure_known_at,"))
    declared = (project / LABELS).with_suffix(".yml")  # its unit test would be the first to see it
    without = {k: v for k, v in yaml.safe_load(declared.read_text()).items() if k != "unit_tests"}
    declared.write_text(yaml.safe_dump(without))
    monkeypatch.setenv("HEADWATER_PROJECT", str(project))
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADWATER_LANDING", str(tmp_path / "landing"))
    settings = Settings.from_env()
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    settings.home.mkdir()
    land(settings.landing, None, date(2013, 1, 4))
    return settings


def test_a_leak_fails_its_check_and_nothing_is_published_or_trained(leaky: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            definitions()
            .resolve_job_def(LANDED_JOB)
            .execute_in_process(
                instance=instance,
                tags={
                    ASSET_PARTITION_RANGE_START_TAG: "2013-01-01",
                    ASSET_PARTITION_RANGE_END_TAG: "2013-01-04",
                },
                raise_on_error=False,
            )
        )
    checks = {
        one.asset_key.to_user_string(): one
        for one in result.get_asset_check_evaluations()
        if one.check_name == "leakage"
    }
    assert not result.success
    assert {name for name, one in checks.items() if not one.passed} == {"labels/flight_labels"}
    assert "features/flight_features" in checks
    message = str(checks["labels/flight_labels"].metadata["message"].value)
    assert 'table "labels.flight_labels", column "is_late", flight_id=' in message
    files = {path.name for path in (leaky.home / "files" / "flights").rglob("*")}
    assert "flights file " in message
    assert any(message.split("flights file ")[1][:12] in name for name in files)
    trained = [event for event in result.get_asset_materialization_events() if "training_set" in str(event)]
    assert trained == []
    assert set(Published(leaky).edition().snapshots) == {"stg_airports", "stg_planes"}

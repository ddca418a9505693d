"""The dbt project over real days: its unit tests, and that no table depends on the days built with it."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from assets.dbt_nodes import is_daily, tables_of
from assets.dbt_runner import DbtRunner
from headwater.nycflights import land
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import declared_sources, take_in
from tests.project_folder import ROOT

DAYS = [f"2013-01-{n:02d}" for n in range(1, 5)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWATER_HOME", str(folder / "at_once"))
        patch.setenv("HEADWATER_LANDING", str(folder / "landing"))
        patch.setenv("HEADWATER_WORKSHOP", "")
        made = Settings.from_env(ROOT)
        land(made.landing, None, date.fromisoformat(DAYS[-1]))
        yield made


@pytest.fixture(scope="module")
def at_once(settings: Settings) -> DbtRunner:
    """A workshop whose tables were built for all days together."""
    runner = filled(settings)
    build(runner, DAYS[0], DAYS[-1])
    return runner


def filled(settings: Settings) -> DbtRunner:
    """A workshop with raw rows and the reference tables."""
    workshop = Workshop(settings)
    for source in sorted(declared_sources(ROOT), key=lambda one: len(one.lookups)):
        files = sorted((settings.landing / source.name).glob("*.csv"))
        take_in(workshop, settings, source, files).raise_failed()
    return DbtRunner(settings)


def build(runner: DbtRunner, first: str, last: str) -> None:
    """Build reference tables, then daily ones, for the days; every table and test must be good."""
    nodes = list(tables_of(runner.manifest))
    with Workshop(runner.settings).turn():
        for daily in (False, True):
            names = [node["name"] for node in nodes if is_daily(node) == daily]
            results = list(runner.build(names, first_day=first, last_day=last))
            assert [result for result in results if not result.is_good] == []


def test_the_unit_tests_beside_the_tables_pass(at_once: DbtRunner) -> None:
    with Workshop(at_once.settings).turn():
        results = list(at_once.unit_test())
    assert len(results) >= 10
    assert [result for result in results if not result.is_good] == []


def test_day_by_day_is_all_days_at_once(at_once: DbtRunner) -> None:
    one_by_one = filled(replace(at_once.settings, home=at_once.settings.home.with_name("day_by_day")))
    for day in DAYS:
        build(one_by_one, day, day)
    build(one_by_one, DAYS[1], DAYS[1])  # a replay of a day changes nothing
    tables = [
        n["relation_name"] for n in tables_of(at_once.manifest) if n["config"]["materialized"] != "view"
    ]
    first, second = (runner.settings.home / "workshop.duckdb" for runner in (at_once, one_by_one))
    assert differing(first, second, tables) == {}


def differing(first: Path, second: Path, tables: list[str]) -> dict[str, int]:
    """Tables with rows that only one of the workshops has, and how many of them."""
    found = {}
    with duckdb.connect() as con:
        con.execute(f"attach '{first}' as one (read_only); attach '{second}' as other (read_only)")
        for table in tables:
            name = table.replace('"', "").partition(".")[2]
            one, other = f"select * from one.{name}", f"select * from other.{name}"
            only = con.execute(
                f"select count(*) from (({one} except all {other}) union all ({other} except all {one}))"
            ).fetchone()
            if only and only[0]:
                found[name] = only[0]
    return found


def test_text_is_compiled_with_the_projects_macros(at_once: DbtRunner) -> None:
    with Workshop(at_once.settings).turn():
        sql = at_once.compiled_text(
            "select 1 from {{ ref('flight_spine') }} where {{ days() }}", start_day=DAYS[0], end_day=DAYS[1]
        )
    assert sql == (
        'select 1 from "workshop"."features"."flight_spine" '
        f"where day between date '{DAYS[0]}' and date '{DAYS[1]}'"
    )


def test_a_lookup_must_say_whether_its_table_keeps_versions(at_once: DbtRunner, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "dbt_project", project / "dbt_project", ignore=shutil.ignore_patterns("target"))
    features = project / "dbt_project" / "models" / "features" / "flight_features.sql"
    features.write_text(features.read_text().replace("        has_versions=true,\n", "", 1))
    runner = DbtRunner(replace(at_once.settings, project=project, home=tmp_path / "home"))

    with Workshop(runner.settings).turn():
        results = list(runner.build(["flight_features"], first_day=DAYS[0], last_day=DAYS[1]))

    (table,) = (result for result in results if result.unique_id == "model.headwater.flight_features")
    assert table.status == "error"
    for told in ('"stg_airports" with has_versions=false', "superseded_at", "Say has_versions=true."):
        assert told in table.message


def test_a_runner_leaves_the_workshop_unlocked(at_once: DbtRunner) -> None:
    assert "HEADWATER_WORKSHOP" in os.environ
    with duckdb.connect(str(at_once.settings.home / "workshop.duckdb")) as con:
        assert con.execute("select count(*) from features.flight_features").fetchone() != (0,)

"""Days lived through: asked about before they land, computed, judged, and told of when something is wrong.

In the project that all live tests share, whatever day it has come to.
"""

import json
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Page

from tests.live.project import Project, ask, wait_for


@pytest.fixture(scope="module")
def days(project: Project) -> list[str]:
    """The three days that come next."""
    newest = date.fromisoformat(project.status()["landed"]["flights"].rpartition(" ")[2])
    return [str(newest + timedelta(days=n)) for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def lived(project: Project, days: list[str]) -> dict[str, Any]:
    """The report of three days: from the second on temperatures come in °C, and a carrier is new."""
    faults = ["--fault", f"silent_unit@{days[1]}", "--fault", f"new_carrier@{days[1]}"]
    told: dict[str, Any] = project.asked("simulate", "--until", days[2], *faults)["report"]
    return told


def test_every_flight_is_answered_and_the_outcomes_come_in(lived: dict[str, Any], days: list[str]) -> None:
    assert [lived["first_day"], lived["last_day"]] == [days[0], days[2]]
    assert lived["n_answered"] == lived["n_asked"] > 2000
    assert lived["n_known"] > 0.6 * lived["n_answered"]


def test_the_loop_is_held_beside_no_loop_and_beside_a_retrain_every_day(lived: dict[str, Any]) -> None:
    loop, without, daily = lived["ways"]
    assert daily["n_trainings"] == 3
    assert daily["training_s"] > 0
    assert 0.5 < loop["value"] < 0.9
    assert loop["value"] - without["value"] == pytest.approx(without["beside"], abs=1e-9)
    assert daily["low"] <= daily["beside"] <= daily["high"]


def test_faults_are_noticed_on_their_first_day(lived: dict[str, Any], days: list[str]) -> None:
    noticed = {one["where"]: one for one in lived["noticed"]}
    assert noticed["raw/weather: drift"]["day"] == days[1]
    assert "temp" in noticed["raw/weather: drift"]["text"]
    assert noticed["raw/flights: drift"]["day"] == days[1]
    assert "ZZ" in noticed["raw/flights: drift"]["text"]


def test_predictions_are_a_source_joined_with_their_outcomes(
    project: Project, lived: dict[str, Any], days: list[str]
) -> None:
    files = sorted((project.landing / "late_arrival_predictions").glob("*.parquet"))
    assert {file.stem for file in files} >= set(days)
    metadata = sorted((project.home / "published").rglob("late_arrival_outcomes/metadata/*.metadata.json"))
    assert metadata
    data = sorted((project.home / "published").rglob("late_arrival_outcomes/data/**/*.parquet"))
    with duckdb.connect() as con:
        rows = con.execute(
            "select day, count(*), count(is_late), count(distinct (flight_id, version)) "
            "from read_parquet($files) group by day order by day",
            {"files": [str(file) for file in data]},
        ).fetchall()
    of_day = {str(day): numbers for day, *numbers in rows}
    n_rows, n_known, n_distinct = of_day[days[0]]
    assert n_rows == n_distinct
    assert 0 < n_known <= n_rows
    live = json.loads((project.home / "live_quality" / "late_arrival.json").read_text())
    assert any(str(one["day"]) == days[0] and one["n_known"] == n_known for one in live["by_day"])


def test_every_run_s_decision_is_in_the_ledger_with_its_numbers(
    project: Project, lived: dict[str, Any], days: list[str]
) -> None:
    entries = project.asked("ledger", "late_arrival")["entries"]
    decided = [one for one in entries if one["kind"] == "decided"]
    assert len({one["details"]["edition"] for one in decided}) == len(decided)
    newest = decided[-1]
    assert newest["details"]["quality"]["champion"] == newest["version"]
    assert newest["details"]["drift"]["day"] == days[2]
    assert {one["name"] for one in newest["details"]["triggers"]} == {"quality", "drift", "new_days"}


def test_what_is_wrong_is_told_with_the_one_next_thing(project: Project, lived: dict[str, Any]) -> None:
    def standing() -> list[dict[str, Any]]:
        file = project.home / "alerts.json"
        return json.loads(file.read_text()) if file.exists() else []

    wait_for("alerts are looked for", lambda: bool(standing()), 120)
    told = [one["alert"] for one in standing()]
    assert all(one["next"] and one["text"] for one in told)


def test_the_page_shows_how_it_goes(
    project: Project, lived: dict[str, Any], days: list[str], page: Page
) -> None:
    about = ask(f"{project.endpoint}/about").body
    assert about["loop"]["data"]["newest_day"] == days[2]
    answered = {one["day"] for one in about["live_quality"]["by_day"] if one["value"] is not None}
    assert answered >= set(days)
    page.goto(project.endpoint)
    panel = page.locator("#loop")
    panel.get_by_text("What the loop does next, and why").wait_for()
    panel.get_by_text("Quality by day").wait_for()
    assert panel.locator("svg.over-time circle").count() > 0
    assert panel.locator("svg.over-time circle.of-answered").count() == len(answered)
    assert page.locator("#history details").first.is_visible()
    assert f"Data until {days[2]}" in panel.inner_text()
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

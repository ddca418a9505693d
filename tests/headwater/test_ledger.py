"""`headwater ledger` and `headwater rollback`, on a project with two champions."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headwater.cli import main
from ml.bundle import Bundle
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from tests.services import toy
from tests.services.project import Project

FIRST, SECOND = toy.bundle(1), toy.bundle(2)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project.in_folder(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HEADWATER_LEDGER", raising=False)
    monkeypatch.delenv("HEADWATER_REGISTRY", raising=False)
    for bundle in (FIRST, SECOND):
        made.register(bundle)
        made.promote(bundle.version)
    return made


def headwater(*args: str) -> Result:
    return CliRunner().invoke(main, args, catch_exceptions=False)


def asked(*args: str) -> Any:
    done = headwater(*args, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def load(project: Project, bundle: Bundle, port: int) -> Entry:
    with Ledger(project.settings.ledger_url).transaction() as act:
        details = {"host": "here", "port": port, "worker": 1, "pid": 7}
        return act.add("loaded", toy.MODEL, bundle.version, actor="endpoint", details=details)


def test_the_history_says_what_when_by_whom_and_why(project: Project) -> None:
    load(project, SECOND, 3030)
    told = headwater("ledger")
    assert told.exit_code == 0
    assert "promoted" in told.output
    assert f"{SECOND.version[:12]}  by test  in place of {FIRST.version[:12]}" in told.output
    assert "by endpoint here:3030/1, pid 7" in told.output
    entries = asked("ledger", toy.MODEL)["entries"]
    assert [one["kind"] for one in entries] == ["registered", "promoted", "registered", "promoted", "loaded"]
    assert entries[3]["previous"] == FIRST.version


def test_a_time_says_who_was_champion_and_what_was_loaded(project: Project) -> None:
    loaded = load(project, FIRST, 3030)
    back = asked("rollback", "--reason", "it was wrong")
    load(project, SECOND, 3030)
    moment = f"{loaded.at:%Y-%m-%dT%H:%M:%S.%fZ}"
    then = asked("ledger", "--at", moment)
    assert [one["version"] for one in then["champions"]] == [SECOND.version]
    assert [(one["server"], one["version"]) for one in then["serving"]] == [("here:3030/1", FIRST.version)]
    assert f"since {loaded.at:%Y-%m-%d}" in headwater("ledger", "--at", moment).output
    before = asked("ledger", "--at", f"{loaded.at - timedelta(days=1):%Y-%m-%dT%H:%MZ}")
    assert before["champions"] == before["serving"] == []
    now = asked("ledger", "--at", "2999-03-01T10:04Z")
    assert [one["version"] for one in now["champions"]] == [FIRST.version] == [back["version"]]


def test_a_rollback_is_one_command(project: Project) -> None:
    told = headwater("rollback")
    assert told.exit_code == 0, told.output
    assert f"{FIRST.version[:12]} again, in place of {SECOND.version[:12]}" in " ".join(told.output.split())
    champion = Ledger(project.settings.ledger_url).champion(toy.MODEL)
    assert champion is not None
    assert (champion.kind, champion.version, champion.reason) == ("rolled_back", FIRST.version, "asked for")
    assert "@" in str(champion.actor)
    again = headwater("rollback")
    assert again.exit_code == 1
    assert "is its first champion" in again.output
    assert asked("rollback", toy.MODEL, "--to", SECOND.version[:8])["version"] == SECOND.version


def test_names_that_are_not_there_are_told_with_the_nearest(project: Project) -> None:
    for command in ("ledger", "rollback"):
        refused = headwater(command, "long_trips")
        assert refused.exit_code == 1
        assert "'long_trip'" in refused.output
    refused = headwater("rollback", "--to", "zz")
    assert refused.exit_code == 1
    assert FIRST.version[:12] in refused.output
    assert headwater("ledger", "--at", "yesterday").exit_code == 2


def test_without_a_champion_there_is_nothing_to_roll_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    assert "No model was registered yet." in headwater("ledger").output
    assert "no model has a champion" in headwater("rollback").output

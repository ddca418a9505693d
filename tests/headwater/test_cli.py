"""The commands that need no running project: help, exit codes, JSON, and what is said when nothing runs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headwater.cli import main
from tests.live.project import free_port

COMMANDS = (
    "up",
    "down",
    "status",
    "land",
    "predict",
    "audit",
    "quarantine",
    "prove",
    "rebuild",
    "receipt",
    "recall",
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADWATER_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("HEADWATER_ENDPOINT_PORT", str(free_port()))

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(main, list(args))

    return invoke


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command: str) -> None:
    told = run(command, "--help")
    assert told.exit_code == 0
    assert "--json" in told.output


def test_the_group_names_its_commands_and_exit_codes(run) -> None:
    told = run("--help").output
    assert all(command in told for command in COMMANDS)
    assert "Exit codes" in told


def test_wrong_usage_is_2(run) -> None:
    assert run("land").exit_code == 2
    assert run("land", "--until", "2013-02-30").exit_code == 2
    assert run("predict", "no equals sign").exit_code == 2
    assert run("nonsense").exit_code == 2


def test_keys_are_made_listed_and_revoked_and_only_their_hash_is_kept(run, tmp_path: Path) -> None:
    made = json.loads(
        run("key", "add", "caller", "--scope", "receipts", "--per-second", "5", "--json").output
    )
    text = (tmp_path / "home" / "keys.json").read_text()
    assert made["key"] not in text
    assert (tmp_path / "home" / "keys.json").stat().st_mode & 0o777 == 0o600
    (told,) = json.loads(run("key", "list", "--json").output)["keys"]
    assert (told["name"], told["scopes"], told["per_second"]) == ("caller", ["receipts"], 5)
    again = run("key", "add", "caller")
    assert (again.exit_code, "Take another name" in again.output) == (1, True)
    unknown = run("key", "revoke", "calle")
    assert (unknown.exit_code, "Did you mean 'caller'?" in unknown.output) == (1, True)
    assert run("key", "revoke", "caller").exit_code == 0
    assert json.loads(run("key", "list", "--json").output)["keys"] == []


def test_up_beyond_loopback_needs_a_key_before_anything_is_done(
    run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADWATER_HOST", "10.0.0.1")
    refused = run("up")
    assert (refused.exit_code, "headwater key add" in refused.output) == (1, True)
    assert not (tmp_path / "landing").exists()


def test_predict_says_how_to_start_the_endpoint(run) -> None:
    refused = run("predict")
    assert refused.exit_code == 1
    assert "headwater up" in refused.output
    assert "Traceback" not in refused.output


def test_there_is_no_bad_row_before_a_file_is_taken_in(run) -> None:
    refused = run("quarantine")
    assert refused.exit_code == 1
    assert "headwater up" in refused.output
    unknown = run("quarantine", "flight")
    assert unknown.exit_code == 1
    assert "Did you mean 'flights'?" in unknown.output


def test_there_is_nothing_to_audit_before_a_day_is_computed(run) -> None:
    refused = run("audit")
    assert refused.exit_code == 1
    assert "headwater up" in refused.output
    assert run("audit", "--cutoffs", "0").exit_code == 2


def test_landing_twice_adds_nothing(run, tmp_path: Path) -> None:
    first = json.loads(run("land", "--until", "2013-01-03", "--json").output)
    again = json.loads(run("land", "--until", "2013-01-03", "--json").output)
    assert first["new_files"] == 3 * 3 + 3
    assert again["new_files"] == 0
    assert (tmp_path / "landing" / "flights" / "2013-01-03.csv").exists()


def test_status_of_a_project_that_never_ran(run) -> None:
    told = json.loads(run("status", "--json").output)
    assert told["processes"] == {}
    assert told["champions"] == {}
    assert told["landed"]["flights"] == "nothing"
    run("land", "--until", "2013-01-02")
    assert json.loads(run("status", "--json").output)["landed"]["flights"] == (
        "2 days, 2013-01-01 to 2013-01-02, 2 not computed yet"
    )


def test_down_with_nothing_running(run) -> None:
    told = run("down")
    assert told.exit_code == 0
    assert "Nothing was running" in told.output

"""A running project: what a new day sets off, and what a bad file or a killed process leaves whole.

Real processes throughout; the tests run in the order in which they stand, as days do.
"""

import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.live.project import Project, ask, wait_for

PATIENCE_S = 600
MEGABYTES = 1500


def flights_file(project: Project, day: str) -> Path:
    return project.landing / "flights" / f"{day}.csv"


def computed(project: Project, days: int) -> bool:
    landed = project.status()["landed"]["flights"]
    return landed.startswith(f"{days} days") and "not computed" not in landed


def idle(project: Project) -> bool:
    return not [
        run for run in project.runs() if run["status"] in {"QUEUED", "NOT_STARTED", "STARTING", "STARTED"}
    ]


def example(project: Project) -> dict[str, object]:
    described = ask(f"{project.endpoint}/docs.json").body
    content = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    instance: dict[str, object] = content["example"]["instances"][0]
    return instance


def test_the_whole_stack_is_up_and_small(project: Project) -> None:
    processes = project.status()["processes"]
    assert set(processes) == {"ui", "daemon", "code", "endpoint"}
    assert sum(process["resident_mb"] for process in processes.values()) < MEGABYTES


def test_the_endpoint_answers_with_the_champion(project: Project) -> None:
    instance = example(project)
    answer = project.predict([instance] * 3)
    assert answer.status == 200
    assert answer.body["model"]["version"] == project.champion()
    scores = [prediction["score"] for prediction in answer.body["predictions"]]
    assert len(scores) == 3
    assert 0 < scores[0] == scores[1] == scores[2] < 1


def test_an_answer_is_walked_down_to_the_raw_files(project: Project) -> None:
    answer_id = project.predict([example(project)]).body["id"]
    told = project.asked("receipt", answer_id)
    assert told["is_verified"]
    assert {step["verdict"] for step in told["steps"]} == {"verified"}
    assert {"score", "features", "model", "training rows", "raw files"} <= {
        one["what"] for one in told["steps"]
    }
    over_http = ask(f"{project.endpoint}/receipt/{answer_id}")
    assert (over_http.status, over_http.body["steps"]) == (200, told["steps"])


def test_flights_to_come_are_predicted_as_the_endpoint_says(project: Project) -> None:
    (file,) = (project.home / "batch_predictions" / "late_arrival").glob("*.parquet")
    batch = pq.read_table(file)
    listed = ask(f"{project.endpoint}/coming").body["coming"]
    assert [one["key"] for one in listed] == batch["flight_id"].to_pylist()[: len(listed)]
    told = project.predict([one["instance"] for one in listed]).body["predictions"]
    assert [one["score"] for one in told] == batch["score"].to_pylist()[: len(listed)]
    assert len(listed) == 500 < batch.num_rows


def test_the_command_line_asks_and_names_a_wrong_field(project: Project) -> None:
    assert "late_arrival" in project.headwater("predict").stdout
    refused = project.headwater("predict", "origin=JFK", check=False)
    assert refused.returncode == 1
    assert "origin_id" in refused.stderr


def test_a_second_up_starts_nothing_and_runs_nothing(project: Project) -> None:
    before = project.status()["processes"]
    runs = len(project.runs())
    project.headwater("up")
    assert {n: p["pid"] for n, p in project.status()["processes"].items()} == {
        n: p["pid"] for n, p in before.items()
    }
    assert len(project.runs()) == runs


def test_a_new_day_is_noticed_and_only_it_is_computed(project: Project) -> None:
    champion = project.champion()
    project.headwater("land", "--until", "2013-02-07")
    wait_for("the new day is computed", lambda: computed(project, 38) and idle(project), PATIENCE_S)
    run = project.runs()[0]
    assert run["status"] == "SUCCESS"
    assert materialized(project, run["runId"])["raw/flights"] == {"2013-02-07"}
    assert materialized(project, run["runId"])["features/flight_features"] == {"2013-02-07"}
    touched = set(materialized(project, run["runId"]))
    assert not touched & {
        "raw/planes",
        "staging/stg_planes",
        "late_arrival/training_set",
        "late_arrival/bento",
    }
    assert project.champion() == champion, "one day is fewer than the policy wants"


def test_weeks_of_days_retrain_and_the_new_champion_answers_with_no_failed_request(
    project: Project,
) -> None:
    champion, instance = project.champion(), example(project)
    seen: Counter[tuple[int, str]] = Counter()
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            answer = project.predict([instance])
            seen[answer.status, answer.body["model"]["version"]] += 1
            time.sleep(0.05)

    client = threading.Thread(target=keep_asking)
    client.start()
    try:
        project.headwater("land", "--until", "2013-02-27")
        wait_for("a new champion", lambda: project.champion() != champion, PATIENCE_S)
        promoted = project.champion()
        wait_for("it answers", lambda: seen[200, promoted] > 0, 30)
    finally:
        done.set()
        client.join()
    wait_for("the run is over", lambda: idle(project), PATIENCE_S)
    assert {status for status, _ in seen} == {200}
    assert seen[200, champion] > 0


def test_a_rollback_answers_within_seconds_and_the_ledger_tells_it_all(project: Project) -> None:
    promoted, instance = project.champion(), example(project)

    def answers(version: str) -> bool:
        found: str = project.predict([instance]).body["model"]["version"]
        return found == version

    back = project.asked("rollback", "--reason", "a drill")
    assert back["previous"] == promoted
    wait_for("the champion before answers", lambda: answers(back["version"]), 30)
    forth = project.asked("rollback", "--to", promoted[:12])
    wait_for("the newer one answers again", lambda: answers(promoted), 30)
    now = project.asked("ledger", "--at", "2999-01-01T00:00Z")
    (server,) = now["serving"]
    assert ([one["version"] for one in now["champions"]], server["version"]) == ([promoted], promoted)
    entries = project.asked("ledger", "late_arrival")["entries"]
    (test,) = [one for one in entries if one["kind"] == "compared"]
    assert (test["version"], test["previous"]) == (promoted, back["version"])
    assert test["details"]["p_value"] <= test["details"]["level"] == 0.001
    assert [one["version"] for one in entries if one["kind"] == "rolled_back"] == [
        back["version"],
        forth["version"],
    ]


def test_a_truncated_file_is_refused_by_name_while_other_days_go_on(project: Project) -> None:
    project.headwater("land", "--until", "2013-02-28")
    wait_for("the last good day is computed", lambda: computed(project, 59) and idle(project), PATIENCE_S)
    whole = flights_file(project, "2013-02-28").read_bytes()
    staged = project.landing / "flights" / ".2013-03-01.csv.part"
    staged.write_bytes(whole[: len(whole) // 2].rsplit(b",", 1)[0])
    staged.rename(flights_file(project, "2013-03-01"))
    wait_for("the file is refused", lambda: bool(project.status()["refused"]), PATIENCE_S)
    (path, message), *others = project.status()["refused"].items()
    assert not others
    assert path.endswith("flights/2013-03-01.csv")
    assert "row" in message
    wait_for("its run is over", lambda: idle(project), PATIENCE_S)
    assert project.runs()[0]["status"] == "FAILURE"
    assert flights_file(project, "2013-03-01").exists()
    assert project.predict([example(project)]).status == 200
    project.headwater("land", "--from", "2013-03-02", "--until", "2013-03-02")
    wait_for("the day after is computed", lambda: computed(project, 60) and idle(project), PATIENCE_S)
    assert list(project.status()["refused"]) == [path]


def test_a_corrected_file_heals_the_day(project: Project) -> None:
    flights_file(project, "2013-03-01").unlink()
    project.headwater("land", "--until", "2013-03-01")
    wait_for("the day is computed", lambda: computed(project, 61) and idle(project), PATIENCE_S)
    assert project.status()["refused"] == {}


def test_a_name_that_is_no_day_is_refused_and_said(project: Project) -> None:
    misnamed = project.landing / "flights" / "2013-02-30.csv"
    misnamed.write_text("nothing that matters")
    wait_for("it is refused", lambda: str(misnamed) in project.status()["refused"], PATIENCE_S)
    assert "2013-02-30" in project.status()["refused"][str(misnamed)]
    misnamed.unlink()


@pytest.mark.parametrize("victim", ["run", "endpoint", "code", "daemon"])
def test_a_killed_process_loses_nothing(project: Project, victim: str) -> None:
    day = {"run": 3, "endpoint": 4, "code": 5, "daemon": 6}[victim]
    project.headwater("land", "--until", f"2013-03-{day:02d}")
    if victim == "run":
        wait_for("a run is under way", lambda: bool(run_processes(project)), PATIENCE_S)
        for process in run_processes(project):
            process.kill()
    else:
        family = psutil.Process(project.status()["processes"][victim]["pid"])
        for process in [family, *family.children(recursive=True)]:
            process.kill()
        project.headwater("up")
    wait_for("the day is computed", lambda: computed(project, 59 + day) and idle(project), PATIENCE_S)
    assert project.predict([example(project)]).status == 200


def run_processes(project: Project) -> list[psutil.Process]:
    """Processes below the code server that execute a run."""
    code = psutil.Process(project.status()["processes"]["code"]["pid"])
    servers = [child for child in code.children() if "forkserver" in " ".join(child.cmdline())]
    return [run for server in servers for run in server.children()]


def materialized(project: Project, run_id: str) -> dict[str, set[str | None]]:
    """Partitions that a run materialized, by asset."""
    query = """query($id: ID!) {runOrError(runId: $id) {... on Run {assetMaterializations {
        assetKey {path} partition}}}}"""
    events = project.graphql(query, id=run_id)["runOrError"]["assetMaterializations"]
    found: dict[str, set[str | None]] = {}
    for event in events:
        found.setdefault("/".join(event["assetKey"]["path"]), set()).add(event["partition"])
    return found

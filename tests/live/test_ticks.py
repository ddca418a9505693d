"""The daemon is killed at every tick of the sensor: before, while and after it asks for a run, and all along.

What is due is done all the same, and once: each new day is taken in once, the model retrained once.
"""

import re
import subprocess
import sys
import time
from collections import Counter
from datetime import date, timedelta
from typing import Any

import psutil

from tests.live.project import Project, wait_for
from tests.live.test_loop import computed, idle, materialized

PATIENCE_S = 600
NEW_DAYS = 8  # the policy wants seven
# Seconds into a tick; each tick that asked for nothing is followed by one that lives longer.
MOMENTS_S = (0.0, 0.05, 0.1, 0.13, 0.16, 0.19, 0.22, 0.25, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
START_DAEMON = """
from headwater import services
from headwater.stack import Stack
from ml.settings import Settings
settings = Settings.from_env()
Stack(settings).start(services.daemon(settings))
"""
TICKS = """{sensorOrError(sensorSelector: {
    repositoryName: "__repository__", repositoryLocationName: "headwater", sensorName: "landing"
}) {... on Sensor {sensorState {ticks(limit: 1) {id}}}}}"""


def test_killed_at_every_tick_the_daemon_retrains_exactly_once(project: Project) -> None:
    wait_for("nothing is under way", lambda: idle(project), PATIENCE_S)
    before, entries = {run["runId"] for run in project.runs()}, len(ledger(project))
    kill_daemon(project)
    landed = project.status()["landed"]["flights"]
    n_days, newest = int(landed.split()[0]), date.fromisoformat(re.findall(r"\d{4}-\d\d-\d\d", landed)[-1])
    project.headwater("land", "--until", str(newest + timedelta(days=NEW_DAYS)))

    def is_done() -> bool:
        return computed(project, n_days + NEW_DAYS) and idle(project)

    moments, n_killed = iter(MOMENTS_S), 0
    while not is_done():
        has_asked = any(run["runId"] not in before for run in project.runs())
        kill_at_next_tick(project, MOMENTS_S[n_killed % 5] if has_asked else next(moments))
        n_killed += 1
    start_daemon(project)
    wait_for("all is done", is_done, PATIENCE_S)
    kill_at_next_tick(project, 5.0)  # it has looked once more, and asked for nothing
    start_daemon(project)

    made: Counter[tuple[str, str | None]] = Counter()
    runs = [run for run in project.runs() if run["runId"] not in before]
    for run in runs:
        found = materialized(project, run["runId"])
        made.update((asset, part) for asset, parts in found.items() for part in parts)
    assert n_killed > 3, "or this shows nothing"
    assert [run["status"] for run in runs] == ["SUCCESS"]
    expected = {("raw/flights", str(newest + timedelta(days=n + 1))) for n in range(NEW_DAYS)}
    taken_in = {one: times for one, times in made.items() if one[0] == "raw/flights"}
    assert set(taken_in) >= expected, "days of files that were spoiled and are sound again may be among them"
    assert set(taken_in.values()) == {1}
    assert made["late_arrival/candidate", None] == 1
    told = Counter(one["kind"] for one in ledger(project)[entries:] if one["kind"] != "loaded")
    assert told["registered"] == told["promoted"] + told["refused"] == 1
    decided = [one for one in ledger(project)[entries:] if one["kind"] == "decided"]
    assert [one["details"]["is_due"] for one in decided].count(True) == 1


def ledger(project: Project) -> list[dict[str, Any]]:
    """All entries of the model, oldest first."""
    entries: list[dict[str, Any]] = project.asked("ledger", "late_arrival")["entries"]
    return sorted(entries, key=lambda one: one["at"])


def start_daemon(project: Project) -> None:
    subprocess.run([sys.executable, "-c", START_DAEMON], cwd=project.root, env=project.env, check=True)


def kill_daemon(project: Project) -> None:
    daemon = psutil.Process(project.status()["processes"]["daemon"]["pid"])
    family = [daemon, *daemon.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)


def kill_at_next_tick(project: Project, moment_s: float) -> None:
    """Start the daemon, wait for a tick of the sensor to begin, and kill it so many seconds later."""
    before = newest_tick(project)
    start_daemon(project)
    daemon = psutil.Process(project.status()["processes"]["daemon"]["pid"])
    until = time.monotonic() + 60
    while newest_tick(project) == before:
        assert time.monotonic() < until, "no tick within a minute"
        time.sleep(0.01)
    time.sleep(moment_s)
    daemon.kill()
    daemon.wait(10)


def newest_tick(project: Project) -> str | None:
    ticks = project.graphql(TICKS)["sensorOrError"]["sensorState"]["ticks"]
    return ticks[0]["id"] if ticks else None

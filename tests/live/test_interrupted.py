"""Ctrl-C during `headwater up`, at its worst moments: nothing is left behind, and the next `up` goes on."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psutil
import pytest

from tests.live.project import ROOT, Project, free_port

UNTIL = "2013-01-10"
DAYS = 10


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    running = Project(tmp_path / "home", tmp_path / "landing", *(free_port() for _ in range(3)))
    try:
        yield running
    finally:
        running.headwater("down", check=False)


@pytest.mark.parametrize("moment", ["prepare", "raw__weather", "reference_tables"])
def test_nothing_is_left_behind_and_up_goes_on(project: Project, moment: str) -> None:
    """The interrupt comes right after the line that names `moment`, in the middle of what follows it."""
    assert interrupted_after(project, moment) == 130
    assert processes_of(project) == []
    project.headwater("up", "--until", UNTIL, "--no-endpoint")
    with duckdb.connect(str(project.home / "workshop.duckdb"), read_only=True) as workshop:
        counts = "select count(*), count(distinct day), count(distinct flight_id) from features.{}"
        for table in ("flight_spine", "flight_features"):
            n_rows, n_days, n_flights = workshop.execute(counts.format(table)).fetchall()[0]
            assert n_rows == n_flights > 0
            assert n_days >= DAYS
    runs = [run["status"] for run in project.runs()]
    assert runs[0] == "SUCCESS"
    assert "STARTED" not in runs


def interrupted_after(project: Project, moment: str) -> int:
    """Run `up` and press Ctrl-C after it has said `moment`; its exit code as a shell tells it.

    Python ends itself by the signal where that came while a string of code was executed.
    """
    command = [sys.executable, "-m", "headwater", "up", "--until", UNTIL, "--no-endpoint"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=project.env | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_interrupts,  # noqa: PLW1509  no thread of ours is running
    ) as up:
        assert up.stdout is not None
        assert any(moment in line for line in up.stdout), "the moment never came"
        up.send_signal(signal.SIGINT)
        told = up.stdout.read()
    assert "interrupted" in told
    assert "Traceback" not in told
    return up.returncode if up.returncode >= 0 else 128 - up.returncode


def _hear_interrupts() -> None:
    # A shell that runs the tests in the background has its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def processes_of(project: Project) -> list[str]:
    """Command lines of living processes that belong to the project."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HEADWATER_HOME") == str(project.home):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found

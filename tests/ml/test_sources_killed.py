"""Taking in that is killed with SIGKILL: the next call makes it whole."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml.settings import Settings
from ml.sources import pending
from tests.ml import killed_intake
from tests.ml.readings import all_raw, ask, declared, put, put_days, row, take
from tests.project_folder import ROOT

N_DAYS = 40


def _started(settings: Settings, point: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.ml.killed_intake", settings.home, settings.landing, point]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _whole_after_the_next_call(settings: Settings, paths: list[Path], n_versions: int) -> None:
    intake = take(settings, *paths).raise_failed()

    assert len(intake.taken) + len(intake.unchanged) == N_DAYS
    assert pending(settings, declared()) == []
    assert ask(settings, "select count(*), count(distinct (day, source_file_id)) from raw.files") == [
        (n_versions, n_versions)
    ]
    assert ask(settings, "select count(*), count(distinct (day, row_number)) from raw.readings_current") == [
        (N_DAYS * 8, N_DAYS * 8)
    ]
    copies = list((settings.home / "files" / "readings").rglob("*.csv"))
    assert len(copies) == n_versions
    before = all_raw(settings)
    assert not take(settings, *paths).raise_failed().taken
    assert all_raw(settings) == before


@pytest.mark.parametrize("point", killed_intake.POINTS)
def test_killed_at_any_point_the_next_call_makes_it_whole(settings: Settings, point: str) -> None:
    paths = put_days(settings, N_DAYS)

    with _started(settings, point) as process:
        process.communicate(timeout=60)

    assert process.returncode == (0 if point == "never" else -signal.SIGKILL)
    _whole_after_the_next_call(settings, paths, N_DAYS)


def test_killed_at_any_moment_of_a_correction(settings: Settings) -> None:
    paths = put_days(settings, N_DAYS)
    take(settings, *paths)
    corrected = put_days(settings, N_DAYS // 2, value="21")

    for wait_s in (0.0, 0.03, 0.06):
        with _started(settings, "never") as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(wait_s)
            process.kill()

    _whole_after_the_next_call(settings, paths, N_DAYS + len(corrected))


def test_a_version_kept_by_a_killed_call_and_corrected_since_is_still_there(settings: Settings) -> None:
    path = put(settings, ["meter,hour,value,state,read_at", row(1)])
    with _started(settings, "first copy kept") as process:
        process.communicate(timeout=60)
    put(settings, ["meter,hour,value,state,read_at", row(2), row(3)])

    intake = take(settings, path).raise_failed()

    assert [file.n_rows for file in intake.taken] == [2]
    assert ask(settings, "select n_rows from raw.files order by loaded_at") == [(1,), (2,)]
    assert ask(settings, "select clock_hour from raw.readings_current order by 1") == [(2,), (3,)]

"""What waits in landing, told without opening the workshop."""

import os
import time
from datetime import date
from pathlib import Path

from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import failures, pending
from tests.ml.readings import HEADER, declared, lines, put, put_days, take


def _waiting(settings: Settings) -> list[str]:
    return [landed.path.name for landed in pending(settings, declared())]


def test_nothing_landed_is_nothing_pending(settings: Settings) -> None:
    assert pending(settings, declared()) == []


def test_files_wait_until_they_are_taken_in(settings: Settings) -> None:
    paths = put_days(settings, 3)
    take(settings, paths[0])

    waiting = pending(settings, declared())

    assert [landed.day for landed in waiting] == [date(2024, 5, 2), date(2024, 5, 3)]


def test_a_writer_in_the_workshop_is_not_waited_for(settings: Settings) -> None:
    put_days(settings, 2)
    workshop = Workshop(settings)
    with workshop.turn(), workshop.connect():
        assert len(_waiting(settings)) == 2


def test_other_bytes_wait_again_and_the_same_bytes_do_not(settings: Settings) -> None:
    path = put_days(settings, 1)[0]
    take(settings, path)
    path.touch()
    assert _waiting(settings) == []
    put(settings, lines(value="20.6"))  # as many bytes
    assert _waiting(settings) == [path.name]


def test_bytes_changed_within_the_clock_s_grain_are_seen(settings: Settings) -> None:
    path = put_days(settings, 1)[0]
    was = path.stat()
    take(settings, path)
    put(settings, lines(value="20.6"))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))

    assert _waiting(settings) == [path.name]


def test_old_files_are_told_by_size_and_time_alone(settings: Settings) -> None:
    path = put_days(settings, 1)[0]
    long_ago = time.time_ns() - 60 * 10**9
    os.utime(path, ns=(long_ago, long_ago))
    take(settings, path)
    put(settings, lines(value="20.6"))
    os.utime(path, ns=(long_ago, long_ago))

    assert _waiting(settings) == []  # nothing was read: only a forged time can hide other bytes


def test_a_refused_file_waits_again_when_it_or_the_declaration_changes(settings: Settings) -> None:
    path = put(settings, [HEADER])
    take(settings, path)
    assert _waiting(settings) == []
    assert "0 rows after the header" in failures(settings, declared())[path]

    assert [landed.path for landed in pending(settings, declared(min_rows=0))] == [path]
    put(settings, lines())
    assert _waiting(settings) == [path.name]
    take(settings, path)
    assert failures(settings, declared()) == {}


def test_a_wrong_name_is_pending_with_its_reason_until_told(settings: Settings) -> None:
    path = put(settings, lines(), "today.csv")

    (landed,) = pending(settings, declared())
    assert landed.day is None
    assert 'the name "today" is not a day' in str(landed.refused)

    take(settings, path)
    assert _waiting(settings) == []
    path.unlink()
    assert failures(settings, declared()) == {}


def test_files_still_being_written_are_left_out(settings: Settings) -> None:
    put(settings, lines(), ".2024-05-01.csv.1.part")
    put(settings, lines(), "2024-05-02.csv.tmp")
    put(settings, lines(), "2024-05-03.csv")

    assert _waiting(settings) == ["2024-05-03.csv"]


def test_everything_waits_again_when_the_workshop_is_gone(settings: Settings) -> None:
    take(settings, *put_days(settings, 2))
    Path(settings.home / "workshop.duckdb").unlink()

    assert len(_waiting(settings)) == 2


def test_a_year_of_files_is_looked_through_fast(settings: Settings) -> None:
    take(settings, *put_days(settings, 240))
    started = time.process_time()

    assert _waiting(settings) == []
    assert time.process_time() - started < 0.25

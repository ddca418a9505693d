"""The writer's turn on the workshop: one at a time, first come first served, given back by death."""

import threading
import time
from pathlib import Path

import pytest

from ml.errors import OutsideTurn, TurnNotGranted, WorkshopLocked, WorkshopUnreadable
from ml.lake.turn import holder
from ml.lake.workshop import Workshop
from ml.settings import Settings
from tests.ml.lake_processes import count_up, hold, open_without_turn, processes, run_all


def _until(condition: object, timeout_s: float = 20) -> None:
    until = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.005)


def _n_waiting(settings: Settings) -> int:
    queue = settings.home / "workshop.lock.queue"
    return len(list(queue.iterdir())) if queue.exists() else 0


def test_eight_processes_write_without_a_lock_error(settings: Settings) -> None:
    assert run_all([(count_up, (settings, 5))] * 8) == [0] * 8

    workshop = Workshop(settings)
    with workshop.turn(), workshop.connect() as con:
        assert con.execute("select n from counter").fetchone() == (40,)
    assert _n_waiting(settings) == 0


def test_threads_of_one_process_take_turns_too(settings: Settings) -> None:
    threads = [threading.Thread(target=count_up, args=(settings, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    workshop = Workshop(settings)
    with workshop.turn(), workshop.connect() as con:
        assert con.execute("select n from counter").fetchone() == (20,)


def test_turns_are_given_in_the_order_they_were_asked_for(settings: Settings) -> None:
    order: list[int] = []

    def take(number: int) -> None:
        with Workshop(settings).turn():
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    with Workshop(settings).turn():
        for number, thread in enumerate(threads):
            thread.start()
            _until(lambda n=number: _n_waiting(settings) == n + 1)
    for thread in threads:
        thread.join()

    assert order == list(range(6))


def test_a_turn_within_a_turn_is_the_same_turn(settings: Settings) -> None:
    workshop, other = Workshop(settings), Workshop(settings)
    with workshop.turn(), other.turn(0.1):
        other.connect().execute("create table t as select 1 as n")
        with workshop.connect() as con:
            assert con.execute("select n from t").fetchone() == (1,)


def test_connections_left_open_end_with_the_turn(settings: Settings) -> None:
    workshop = Workshop(settings)
    with workshop.turn():
        with workshop.turn():
            con = workshop.connect()
        assert con.execute("select 1").fetchone() == (1,)

    assert run_all([(count_up, (settings, 1))]) == [0]


def test_the_session_is_in_utc_and_loads_nothing_by_itself(settings: Settings) -> None:
    workshop = Workshop(settings)
    with workshop.turn(), workshop.connect() as con:
        names = ("TimeZone", "autoinstall_known_extensions", "autoload_known_extensions")
        found = [con.execute(f"select current_setting('{name}')").fetchone() for name in names]
    assert found == [("UTC",), (False,), (False,)]


def test_outside_a_turn_nothing_is_opened(settings: Settings) -> None:
    with pytest.raises(OutsideTurn, match=r"with workshop\.turn\(\)"):
        Workshop(settings).connect()
    assert not (settings.home / "workshop.duckdb").exists()


def test_a_damaged_file_is_told_with_the_way_out(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "workshop.duckdb").write_bytes(b"no database " * 1000)

    with Workshop(settings).turn() as workshop, pytest.raises(WorkshopUnreadable, match="made again from"):
        workshop.connect()


def test_waiting_in_vain_names_who_has_the_turn(settings: Settings, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = processes().Process(target=hold, args=(settings, ready))
    process.start()
    _until(ready.exists)
    try:
        with pytest.raises(TurnNotGranted) as raised, Workshop(settings).turn(wait_s=0.2):
            pass
        message = str(raised.value)
        assert f"held by process {process.pid}" in message
        assert "UTC" in message
        assert str(settings.home / "workshop.lock") in message
    finally:
        process.kill()
        process.join()


def test_a_holder_killed_with_sigkill_blocks_nobody(settings: Settings, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = processes().Process(target=hold, args=(settings, ready))
    process.start()
    _until(ready.exists)
    note = holder(settings.home / "workshop.lock")
    assert note is not None
    assert note.pid == process.pid
    process.kill()
    process.join()

    with Workshop(settings).turn(wait_s=5) as workshop, workshop.connect() as con:
        assert con.execute("select n from held").fetchone() == (1,)


def test_a_waiting_process_killed_in_the_queue_blocks_nobody(settings: Settings) -> None:
    with Workshop(settings).turn():
        process = processes().Process(target=count_up, args=(settings, 1))
        process.start()
        _until(lambda: _n_waiting(settings) == 1)
        process.kill()
        process.join()
        assert _n_waiting(settings) == 1

    assert run_all([(count_up, (settings, 1))]) == [0]
    assert _n_waiting(settings) == 0


def test_a_stranger_that_keeps_the_file_open_is_named(settings: Settings, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    settings.home.mkdir()
    process = processes().Process(target=open_without_turn, args=(settings, ready))
    process.start()
    _until(ready.exists)
    try:
        with Workshop(settings).turn() as workshop:
            with pytest.raises(WorkshopLocked) as raised:
                workshop.connect(wait_s=0.1)
            assert f"PID {process.pid}" in str(raised.value)
    finally:
        process.kill()
        process.join()

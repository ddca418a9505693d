"""The prediction log: what is written is read again to the bit, and what is lost is shown."""

import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml.errors import AnswerIdMalformed, AnswerNotLogged
from ml.online_plan.kinds import Kind
from ml.prediction_log.compaction import compact, read_segment
from ml.prediction_log.ids import AnswerId, Ids
from ml.prediction_log.reading import day_of, find
from ml.prediction_log.record import Answered, Shape
from ml.prediction_log.writing import Limits, PredictionLog
from tests.project_folder import ROOT

NAMES = ("trip_id", "prediction_at", "speed", "n", "is_new")
KINDS: tuple[Kind, ...] = ("text", "timestamp", "real", "integer", "boolean")
ROWS = (
    ("d1", 1_700_000_000_000_001, -0.0, 2**53, True),
    ("ü", None, float("nan"), None, None),
    (None, 0, 5e-324, -1, False),
)


def shape(number: int, model: str = "long_trip", classes: tuple[str, ...] = ()) -> Shape:
    """Of rows like those above."""
    return Shape(number, model, "f" * 64, "predict", NAMES, KINDS, (2, 3, 4), classes)


def answer(log: PredictionLog, model: str = "long_trip", classes: tuple[str, ...] = ()) -> str:
    """Log one answer of three rows."""
    number = log.shape((model, "f" * 64, "predict"), lambda one: shape(one, model, classes))
    scores = [[0.1, 0.9]] * 3 if classes else [0.1 + 0.2, 1e-9, 0.5]
    now = int(time.time() * 1e6)
    told = Answered(log.next_id(), now, number, 7, now - 5, b'{"a": 1}', ROWS, scores, (1, 2, 3))
    log.append(told)
    return told.id


def wait_until(condition: object) -> None:
    """Until a callable is true, for at most ten seconds."""
    until = time.monotonic() + 10
    while not condition() and time.monotonic() < until:  # type: ignore[operator]
        time.sleep(0.02)
    assert condition()  # type: ignore[operator]


@pytest.mark.parametrize("compacted", [False, True])
def test_an_answer_is_read_as_it_was_given(tmp_path: Path, compacted: bool) -> None:
    log = PredictionLog(tmp_path)
    ids = [answer(log), answer(log, "other", ("fast", "slow"))]
    log.close()
    if compacted:
        done = compact(tmp_path)
        assert (done.n_segments, done.n_answers, done.n_rows, done.gaps) == (1, 2, 6, ())
        assert not list(tmp_path.glob("segments/*"))
    found, of_classes = find(tmp_path, ids[0]), find(tmp_path, ids[1])
    values = found["values"].to_pylist()
    assert repr([one["speed"] for one in values]) == "[-0.0, nan, 5e-324]"
    assert [one["n"] for one in values] == [2**53, None, -1]
    assert values[0]["prediction_at"] == datetime.fromtimestamp(1_700_000_000, UTC).replace(
        microsecond=1, tzinfo=None
    )
    assert found["score"].to_pylist() == [0.1 + 0.2, 1e-9, 0.5]
    assert of_classes["score"].to_pylist() == [[0.1, 0.9]] * 3
    assert found["request"][0].as_py() == b'{"a": 1}'
    assert found.schema.metadata == {b"features": b"speed,n,is_new"}
    (table,) = day_of(tmp_path, AnswerId.parse(ids[0]).day, "other")
    assert table["answer_id"].to_pylist() == [ids[1]] * 3


def test_what_is_no_id_and_what_is_not_logged_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(AnswerIdMalformed, match='"nonsense" is no id'):
        find(tmp_path, "nonsense")
    for odd in ("20261345-00000000-000001", "20260101-0000000g-000001", "../20260101-00000000-000001"):
        with pytest.raises(AnswerIdMalformed):
            find(tmp_path, odd)
    log = PredictionLog(tmp_path / "log")
    answer(log)
    unlogged = log.next_id()
    log.close()
    with pytest.raises(AnswerNotLogged, match="there is no log yet"):
        find(tmp_path / "none", unlogged)
    with pytest.raises(AnswerNotLogged, match="lost or never given"):
        find(tmp_path / "log", unlogged)
    with pytest.raises(AnswerNotLogged, match="no process 00000000"):
        find(tmp_path / "log", f"{unlogged[:8]}-00000000-000001")


def test_ids_follow_the_day_and_count() -> None:
    ids = Ids()
    before_midnight = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    told = [AnswerId.parse(ids.next_id(before_midnight + n)) for n in range(3)]
    assert [(str(one.day), one.count) for one in told] == [
        ("2026-01-31", 1),
        ("2026-02-01", 2),
        ("2026-02-01", 3),
    ]
    assert {one.process for one in told} == {ids.process}


def test_compaction_leaves_a_segment_in_use_alone_and_may_be_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(tmp_path, Limits(segment_s=0.0))
    answer(log)
    wait_until(lambda: log.state.n_written == 1)
    running = PredictionLog(tmp_path)
    kept = answer(running)
    wait_until(lambda: running.state.n_written == 1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError("killed here")))
        with pytest.raises(OSError, match="killed here"):
            compact(tmp_path)
    log.close()
    done = compact(tmp_path)
    assert (done.n_answers, done.n_rows) == (1, 3)
    assert len(list(tmp_path.glob("days/*/*.parquet"))) == 1
    assert find(tmp_path, kept).num_rows == 3
    running.close()
    assert compact(tmp_path).n_answers == 1


WRITER = """
import sys, time
from pathlib import Path
from ml.prediction_log.writing import PredictionLog
from tests.ml.prediction_log.test_log import answer
log = PredictionLog(Path(sys.argv[1]))
while True:
    print(answer(log), time.time(), flush=True)
    time.sleep(0.001)
"""


def test_a_killed_process_loses_at_most_a_second_and_the_gap_shows(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        given = [writer.stdout.readline().split() for _ in range(700)]
        writer.send_signal(signal.SIGKILL)
        given += [line.split() for line in writer.stdout.read().splitlines()]
    killed_at = float(given[-1][1])
    (file,) = tmp_path.glob("segments/*.log")
    logged = {one.id for one in read_segment(file).answers}
    lost = [float(at) for answer_id, at in given if answer_id not in logged]
    assert all(killed_at - at < 1 for at in lost)
    assert len(logged) > 200
    (gap,) = compact(tmp_path).gaps
    assert gap.counts == (len(logged) + 1, None)
    assert gap.process == AnswerId.parse(given[0][0]).process


def test_a_torn_frame_costs_itself_alone(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    first = answer(log)
    wait_until(lambda: log.state.n_written == 1)
    answer(log)
    wait_until(lambda: log.state.n_written == 2)
    log.close()
    (file,) = tmp_path.glob("segments/*.log")
    data = file.read_bytes()
    ended = len(data) - len(data[data.rindex(b"ended") :])
    file.write_bytes(data[: ended - 40])
    assert read_segment(file).n_torn_bytes > 0
    (gap,) = compact(tmp_path).gaps
    assert gap.counts == (2, None)
    assert find(tmp_path, first).num_rows == 3


FULL = """
import resource, signal, sys, time
from pathlib import Path
from ml.prediction_log.writing import Limits, PredictionLog
from tests.ml.prediction_log.test_log import answer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = PredictionLog(Path(sys.argv[1]), Limits(queue_bytes=20_000))
kept = answer(log)
time.sleep(0.5)
resource.setrlimit(resource.RLIMIT_FSIZE, (900, resource.RLIM_INFINITY))
slowest = 0.0
for _ in range(300):
    started = time.perf_counter()
    answer(log)
    slowest = max(slowest, time.perf_counter() - started)
time.sleep(0.5)
full = log.state
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
time.sleep(0.6)
after = log.state
log.close()
print(slowest, full.n_dropped, full.n_queued, full.error, after.n_queued, after.error, sep="|")
"""


def test_a_full_disk_slows_nothing_is_told_and_writing_goes_on_after(tmp_path: Path) -> None:
    """A limit on the file's size stands for the disk: the same call fails, with the same consequences."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    slowest, dropped, queued, error, queued_after, error_after = done.stdout.strip().split("|")
    assert float(slowest) < 0.05
    assert int(dropped) + int(queued) == 300
    assert int(dropped) > 0 < int(queued)
    assert "File too large" in error
    assert (queued_after, error_after) == ("0", "None")
    (file,) = tmp_path.glob("segments/*.log")
    segment = read_segment(file)
    assert segment.n_torn_bytes == 0
    assert segment.ended is not None
    assert len(segment.answers) == 1 + int(queued)
    assert segment.ended.n_dropped == int(dropped)
    assert file.stat().st_size > 900

"""Published tables under many processes at once, and under SIGKILL."""

import time
from pathlib import Path

import pytest

from ml.errors import NothingPublished
from ml.lake.published import Published
from ml.settings import Settings
from tests.ml.lake_processes import N_DAYS, N_ROWS, TABLES, batches, publish, publish_and_die, read, run_all
from tests.ml.published_rows import batch, values


def test_eight_writers_and_two_readers_at_once_and_nothing_torn(settings: Settings, tmp_path: Path) -> None:
    """Writers replace overlapping days of two tables while readers compare them, row by row."""
    Published(settings).publish(batches(0))
    done = tmp_path / "done"
    writers = [(publish, (settings, number, 2)) for number in range(1, 9)]
    readers = [(read, (settings, done))] * 2

    codes = run_all([*writers, *readers, (_finish, (settings, done, 1 + 8 * 2))])

    assert codes == [0] * 11
    assert Published(settings).edition().id == 1 + 8 * 2


def _finish(settings: Settings, done: Path, edition: int) -> None:
    until = time.monotonic() + 45
    while Published(settings).edition().id < edition and time.monotonic() < until:
        time.sleep(0.05)
    done.touch()


def test_many_first_publishes_at_once_make_one_catalog(settings: Settings) -> None:
    assert run_all([(publish, (settings, number, 1)) for number in range(1, 5)]) == [0] * 4
    assert Published(settings).edition().id == 4


@pytest.mark.parametrize("point", ["file", "one table", "edition"])
def test_a_publish_killed_on_the_way_is_not_seen_and_undone_by_the_next(
    settings: Settings, point: str
) -> None:
    published = Published(settings)
    published.publish(batches(1))

    assert run_all([(publish_and_die, (settings, point))]) == [-9]

    assert published.edition().id == 1
    edition = published.publish(batches(2, first=2, n_days=1))
    for name in TABLES:
        stamps = published.read(name, edition=edition)["stamp"].to_pylist()
        assert sorted(stamps) == [1] * N_ROWS * (N_DAYS - 1) + [2] * N_ROWS


def test_a_first_publish_killed_on_the_way_leaves_nothing_in_the_way(settings: Settings) -> None:
    assert run_all([(publish_and_die, (settings, "one table"))]) == [-9]

    with pytest.raises(NothingPublished):
        Published(settings).edition()
    assert Published(settings).publish({"features": batch(0, 1)}).id == 1
    assert values(Published(settings), "features", 1) == [0, 0]

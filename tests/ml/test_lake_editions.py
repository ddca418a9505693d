"""Editions: how long they are kept, by number and by tag, and what looking at them costs."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from ml.errors import NothingPublished
from ml.lake.published import Published
from ml.settings import Settings
from tests.ml.published_rows import batch, values


@pytest.fixture
def published(settings: Settings) -> Published:
    """Published tables of an empty project."""
    return Published(settings)


def test_clearing_leaves_the_newest_the_pinned_and_the_tagged(published: Published) -> None:
    editions = [published.publish({"t": batch(0, 3, value)}) for value in range(6)]
    published.tag(editions[1], "champion-1")
    files = _n_files(published)

    assert published.expire(timedelta(hours=1), 2, frozenset({3})) == 0
    assert published.expire(timedelta(0), 2, frozenset({3})) > 0

    for edition in (editions[1], editions[2], editions[4], editions[5]):
        assert values(published, "t", edition.id) == [edition.id - 1] * 6
    for edition in (editions[0], editions[3]):
        with pytest.raises(NothingPublished):
            published.edition(edition.id)
    assert _n_files(published) == files - 2 * 3
    assert published.tagged("champion-1").id == 2
    assert published._load("t").refs()["champion-1"].snapshot_id == editions[1].snapshots["t"]


def test_a_tag_taken_away_lets_its_edition_go_and_one_given_again_moves(published: Published) -> None:
    editions = [published.publish({"t": batch(0, 1, value)}) for value in range(4)]
    published.tag(editions[0], "a")
    published.tag(editions[1], "a")
    published.tag(editions[2], "b")
    published.untag("b")

    published.expire(timedelta(0), 1)

    assert published.tagged("a").id == 2
    assert values(published, "t", 2) == [1, 1]
    with pytest.raises(NothingPublished):
        published.edition(3)


def test_what_a_day_costs_does_not_grow_with_the_number_of_editions(published: Published) -> None:
    published.tag(published.publish({"t": batch(0, 3, 0)}), "first")
    for value in range(1, 46):
        published.publish({"t": batch(value % 3, 1, value)})

    table = published._load("t")
    assert len(table.snapshots()) == 42
    assert len(table.current_snapshot().manifests(table.io)) < 40
    assert published.edition().id == 46
    assert values(published, "t", 1) == [0] * 6
    assert values(published, "t", 7) == [6, 6, 4, 4, 5, 5]
    with pytest.raises(NothingPublished):
        published.edition(5)


def test_tagged_editions_outlive_publishes_expiry_and_compaction(published: Published) -> None:
    expected = {}
    for value in range(55):
        edition = published.publish({"t": batch(value % 3, 2, value)})
        if value % 11 == 3:
            published.tag(edition, f"m/{value}")
            expected[edition.id] = values(published, "t", edition.id)

    table = published._load("t")
    table.overwrite(table.scan().to_arrow())  # as another engine's compaction: all rows in files of its own
    published.publish({"t": batch(0, 1, 99)})
    published.expire(timedelta(0), 1)

    assert len(expected) == 5
    for number, rows in expected.items():
        assert values(published, "t", number) == rows
        assert published.tagged(f"m/{number - 1}").id == number
    with pytest.raises(NothingPublished):
        published.edition(50)


def _n_files(published: Published) -> int:
    return len(list(Path(published._settings.home).rglob("*.parquet")))


def test_looking_at_editions_does_not_import_pyiceberg(settings: Settings) -> None:
    Published(settings).publish({"t": batch(0, 1)})
    code = (
        "import sys\nfrom ml.lake.editions import Editions\nfrom ml.lake.published import Published\n"
        f"assert Editions({settings.catalog_url!r}).get().id == 1\n"
        "assert 'pyiceberg' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=settings.project, check=False).returncode == 0

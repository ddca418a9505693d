"""Following the ledger and the lake: what is taken, what is not, and what is said about it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ml.bundle import Bundle
from ml.errors import LedgerUnusable
from ml.lake.published import Published
from ml.ledger import Ledger
from ml.online import OnlineStore
from services.attempts import Attempts
from services.following import Follower
from services.serving import Serving
from tests.services import toy
from tests.services.project import SETTINGS, Project
from tests.services.test_serving import BROKEN


class Followed:
    """A follower looked through by hand, and all it took."""

    def __init__(self, project: Project, bundle: Bundle) -> None:
        published = Published(project.settings)
        tables = bundle.contract.online_tables
        store = OnlineStore.from_published(published, published.edition(), tables)
        self.serving = Serving.assemble(bundle, store, SETTINGS.max_instances, SETTINGS.ahead)
        self.taken: list[str] = []
        self.failed: list[str] = []
        self.attempts = Attempts(self.failed.append)
        self.follower = Follower(project.settings, SETTINGS, lambda: self.serving, self._take, self.attempts)

    def look(self) -> list[str]:
        """Look once; what was taken by it."""
        before = len(self.taken)
        self.follower.look()
        return self.taken[before:]

    def _take(self, serving: Serving, what: str) -> None:
        self.serving = serving
        self.taken.append(what)


@pytest.fixture
def followed(project: Project, bundles: Mapping[str, Bundle]) -> Followed:
    """In step with the project."""
    return Followed(project, bundles["first"])


def test_in_step_nothing_is_taken_and_what_serves_is_recorded_once(
    followed: Followed, project: Project, bundles: Mapping[str, Bundle]
) -> None:
    assert followed.look() == followed.look() == []
    assert project.loaded() == [bundles["first"].version]
    entry = Ledger(project.settings.ledger_url).newest(toy.MODEL, "loaded")
    assert entry is not None
    assert entry.details["edition"] == 1
    assert entry.details["pid"] > 0


def test_a_new_champion_over_a_new_edition_is_one_swap(
    followed: Followed, project: Project, bundles: Mapping[str, Bundle]
) -> None:
    project.register(bundles["second"])
    project.publish(toy.zone_speed(n_days=6))
    project.promote(bundles["second"].version)
    assert followed.look() == ["model"]
    assert followed.serving.bundle.version == bundles["second"].version
    assert followed.serving.store.edition_id == 2
    assert followed.look() == []


def test_a_rollback_is_followed_and_a_stop_is_noted(
    followed: Followed, project: Project, bundles: Mapping[str, Bundle]
) -> None:
    project.register(bundles["second"])
    project.promote(bundles["second"].version)
    assert followed.look() == ["model"]
    project.roll_back()
    assert followed.look() == ["model"]
    assert followed.serving.bundle.version == bundles["first"].version
    ledger = Ledger(project.settings.ledger_url)
    (serving,) = ledger.serving(toy.MODEL)
    assert (serving.version, serving.details["worker"]) == (bundles["first"].version, 1)
    followed.follower.stop()
    assert ledger.serving(toy.MODEL) == []


def test_an_edition_without_a_change_to_the_online_tables_is_no_swap(
    followed: Followed, project: Project
) -> None:
    from ml.lake.published import PublishBatch

    day = toy.FIRST.date()
    Published(project.settings).publish({"other": PublishBatch(toy.zone_speed(1), day, day)})
    assert followed.look() == []


def test_a_damaged_champion_is_not_taken_but_the_new_edition_is(
    followed: Followed, project: Project, bundles: Mapping[str, Bundle]
) -> None:
    project.register(bundles["second"])
    project.damage(bundles["second"].version)
    project.publish(toy.zone_speed(n_days=6))
    project.promote(bundles["second"].version)
    assert followed.look() == ["edition"]
    (failure,) = followed.attempts.failures
    assert (failure.what, failure.which) == ("model", bundles["second"].version)
    assert followed.serving.bundle.version == bundles["first"].version
    assert (followed.look(), followed.failed) == ([], ["model"])


@pytest.mark.parametrize("what", BROKEN)
def test_a_champion_that_contradicts_itself_is_not_taken(
    followed: Followed, project: Project, bundles: Mapping[str, Bundle], what: str
) -> None:
    change, told = BROKEN[what]
    broken = change(bundles["second"])
    project.register(broken)
    project.promote(broken.version)
    assert followed.look() == []
    (failure,) = followed.attempts.failures
    assert (failure.what, failure.which) == ("model", broken.version)
    assert re.search(told, failure.message)
    assert followed.serving.bundle.version == bundles["first"].version
    assert followed.serving.example[1]["model"]["version"] == bundles["first"].version


def test_going_back_to_what_serves_ends_the_failure(
    followed: Followed, project: Project, bundles: Mapping[str, Bundle]
) -> None:
    project.register(bundles["second"])
    project.damage(bundles["second"].version)
    project.promote(bundles["second"].version)
    followed.look()
    project.promote(bundles["first"].version)
    followed.look()
    assert followed.attempts.failures == ()


def test_a_table_that_is_gone_keeps_the_old_edition(followed: Followed, project: Project) -> None:
    project.publish(toy.zone_speed(n_days=6))
    for file in Path(project.settings.warehouse.removeprefix("file://")).rglob("*.parquet"):
        file.unlink()
    assert followed.look() == []
    assert [failure.what for failure in followed.attempts.failures] == ["edition"]
    assert followed.serving.store.edition_id == 1


def test_a_ledger_that_is_away_is_told_and_found_again(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, settled: Callable[[], float]
) -> None:
    def away(_: Ledger, __: str) -> None:
        raise LedgerUnusable("sqlite:///ledger.db", "disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "champion", away)
        followed.look()
    assert [failure.what for failure in followed.attempts.failures] == ["ledger"]
    followed.look()
    assert [failure.what for failure in followed.attempts.failures] == ["ledger"], (
        "not before a second is over"
    )
    settled()
    followed.look()
    assert followed.attempts.failures == ()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Lets the time until the next attempt pass at once."""
    import time

    now = time.monotonic

    def later() -> float:
        monkeypatch.setattr("services.attempts.time.monotonic", lambda: now() + 60)
        return now()

    return later

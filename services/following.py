"""Keeps what serves in step with the ledger and the lake: looks, loads beside, tests, swaps.

What serves is touched only by one assignment of something whole; answering requests is not done here.
"""

import gc
import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from bentoml import server_context

from ml.bundle import Bundle
from ml.errors import NothingPublished, PromisesBroken, SelfTestFailed
from ml.lake.editions import Edition
from ml.lake.published import Published
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.memory import give_back
from ml.online import OnlineStore
from ml.prediction_log.compaction import Gap
from ml.registry import Registry
from ml.settings import Settings
from services.attempts import Attempts
from services.compatibility import broken_promises
from services.serving import Serving
from services.settings import ServingSettings

_FIRST_LOOK_S = 15.0


class Follower:
    """Watches one project from a thread of its own; `current` gives what serves, `take` puts it in place."""

    def __init__(
        self,
        project: Settings,
        settings: ServingSettings,
        current: Callable[[], Serving],
        take: Callable[[Serving, str], None],
        attempts: Attempts,
    ) -> None:
        self._project = project
        self._settings = settings
        self._current = current
        self._take = take
        self._attempts = attempts
        self._published = Published(project)
        self._registry = Registry(project.registry)
        self._ledger: Ledger | None = None
        self._recorded: str | None = None
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self.looked_at: datetime | None = None

    def start(self) -> None:
        """Look from now on, every `poll_s`; returns after the first look, or after 15 s when that hangs."""
        self._thread.start()
        self._looked.wait(_FIRST_LOOK_S)

    def stop(self) -> None:
        """Look no more, and note that this process answers no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        if version := self._recorded:
            self._attempts.attempt("record", version, lambda: self._note("stopped", version))

    def look(self) -> None:
        """Take what is newest into service; raises nothing."""
        attempt = self._attempts.attempt
        edition = attempt("catalog", "newest edition", self._edition)
        champion = attempt("ledger", "champion", self._champion)
        if champion and champion.version == self._current().bundle.version:
            self._attempts.forget("model")
        elif champion:
            attempt("model", champion.version, lambda: self._take_model(champion, edition))
        serving = self._current()
        if edition and _holds(serving.store, serving.bundle, edition):
            self._attempts.forget("edition")
        elif edition:
            attempt("edition", str(edition.id), lambda: self._take_edition(edition))
        version = self._current().bundle.version
        if version != self._recorded:
            attempt("record", version, lambda: self._record(version))
        self.looked_at = datetime.now(UTC)

    def _run(self) -> None:
        # Whatever escapes a look is noted as well: a thread that died would follow nothing, unseen.
        self._attempts.attempt("follower", "look", self.look)
        self._looked.set()
        while not self._stop.wait(self._settings.poll_s):
            self._attempts.attempt("follower", "look", self.look)

    def _edition(self) -> Edition | None:
        try:
            return self._published.edition()
        except NothingPublished:
            return None

    def _champion(self) -> Entry | None:
        return self._opened_ledger().champion(self._current().bundle.model)

    def _take_model(self, champion: Entry, edition: Edition | None) -> None:
        with _settled():
            self._load_model(champion, edition)

    def _load_model(self, champion: Entry, edition: Edition | None) -> None:
        serving, version = self._current(), champion.version
        bundle = self._registry.get(serving.bundle.model, version, self._settings.max_model_bytes)
        if bundle.model != serving.bundle.model:
            raise SelfTestFailed(bundle.model, version, f"it was stored as {serving.bundle.model!r}")
        store = serving.store
        if edition and not _holds(store, bundle, edition):
            store = self._load(bundle, edition)
        taken = Serving.assemble(bundle, store, self._settings.max_instances, self._settings.ahead)
        broken = broken_promises(serving.bundle.contract, bundle.contract)
        # Who goes back on purpose wants the version before, whatever callers have learned to send since.
        if broken and champion.kind != "rolled_back":
            raise PromisesBroken(bundle.model, version, broken)
        taken.refuse_slow(self._settings.max_row_ms)
        self._take(taken, "model")

    def _take_edition(self, edition: Edition) -> None:
        with _settled():
            serving = self._current()
            self._take(serving.over(self._load(serving.bundle, edition)), "edition")
            del serving

    def _load(self, bundle: Bundle, edition: Edition) -> OnlineStore:
        return OnlineStore.from_published(self._published, edition, bundle.contract.online_tables)

    def _record(self, version: str) -> None:
        self._note("loaded", version)
        self._recorded = version

    def _note(self, kind: str, version: str) -> None:
        serving = self._current()
        details = {
            "host": platform.node(),
            "port": self._settings.port,
            "worker": server_context.worker_index or 1,
            "pid": os.getpid(),
            "edition": serving.store.edition_id,
        }
        with self._opened_ledger().transaction() as act:
            act.add(kind, serving.bundle.model, version, actor="endpoint", details=details)

    def _opened_ledger(self) -> Ledger:
        self._ledger = self._ledger or Ledger(self._project.ledger_url)
        return self._ledger


@contextmanager
def _settled() -> Iterator[None]:
    """Afterwards memory is as large as what serves, and garbage collections pass what was loaded over."""
    try:
        yield
    finally:
        gc.collect()
        gc.freeze()
        give_back()


def note_gap(project: Settings, gap: Gap) -> None:
    """Write to the ledger, once, that answers are missing in the prediction log."""
    details = {
        "process": gap.process,
        "segment": gap.segment,
        "first": gap.counts[0],
        "last": gap.counts[1],
        "after": datetime.fromtimestamp(gap.after_us / 1e6, UTC).isoformat(),
    }
    with Ledger(project.ledger_url).transaction() as act:
        act.add("log_gap", gap.model, gap.version, actor="endpoint", details=details, once=gap.key)


def _holds(store: OnlineStore, bundle: Bundle, edition: Edition) -> bool:
    tables = bundle.contract.online_tables
    return all(
        name in store.snapshots and store.snapshots[name] == edition.snapshots.get(name) for name in tables
    )

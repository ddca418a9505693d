"""The other models of a project: each answers as soon as the ledger has a champion of it.

A model is loaded here once; from then on it is followed as the packed one is.
"""

import threading
from collections.abc import Callable, Collection
from functools import partial

from ml.lake.published import Published
from ml.ledger import Ledger
from ml.online import OnlineStore
from ml.registry import Registry
from ml.settings import Settings
from services.attempts import Attempts
from services.serving import Serving
from services.settings import ServingSettings

_FIRST_LOOK_S = 15.0


class Others:
    """Finds champions of models that are not `known`, from a thread of its own, and gives them to `add`."""

    def __init__(
        self,
        project: Settings,
        settings: ServingSettings,
        known: Callable[[], Collection[str]],
        add: Callable[[Serving], None],
        attempts: Attempts,
    ) -> None:
        self._project = project
        self._settings = settings
        self._known = known
        self._add = add
        self._attempts = attempts
        self._ledger: Ledger | None = None
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="others", daemon=True)

    def start(self) -> None:
        """Look from now on; returns after the first look, or after 15 s when that hangs."""
        self._thread.start()
        self._looked.wait(_FIRST_LOOK_S)

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def look(self) -> None:
        """Add every champion of a model that is not known; raises nothing."""
        champions = self._attempts.attempt("ledger", "champions", self._champions) or {}
        for model in sorted(champions.keys() - set(self._known())):
            version = champions[model]
            serving = self._attempts.attempt(f"model {model}", version, partial(self._load, model, version))
            if serving:
                self._add(serving)

    def _run(self) -> None:
        # Whatever escapes a look is noted as well: a thread that died would find nothing, unseen.
        self._attempts.attempt("others", "look", self.look)
        self._looked.set()
        while not self._stop.wait(self._settings.poll_s):
            self._attempts.attempt("others", "look", self.look)

    def _champions(self) -> dict[str, str]:
        self._ledger = self._ledger or Ledger(self._project.ledger_url)
        return {champion.model: champion.version for champion in self._ledger.champions()}

    def _load(self, model: str, version: str) -> Serving:
        published = Published(self._project)
        bundle = Registry(self._project.registry).get(model, version, self._settings.max_model_bytes)
        tables = bundle.contract.online_tables
        store = OnlineStore.from_published(published, published.edition(), tables)
        return Serving.assemble(bundle, store, self._settings.max_instances, self._settings.ahead)

"""One model that an endpoint answers for: the Serving in place, and what follows its champion.

Requests and replies are the endpoint's matter; which models there are besides is `others`'.
"""

import logging
from typing import TYPE_CHECKING, Any

from ml.settings import Settings
from services.attempts import Attempts
from services.metrics import Metrics
from services.serving import Serving
from services.settings import ServingSettings

if TYPE_CHECKING:
    from services.following import Follower

_LOG = logging.getLogger("bentoml.headwater")


class Served:
    """`serving` is replaced whole; a request sees one from beginning to end."""

    def __init__(self, serving: Serving, metrics: Metrics) -> None:
        self.serving = serving
        self.attempts = Attempts(metrics.failed)
        self._metrics = metrics
        self._follower: Follower | None = None
        self._tell(None)

    def follow(self, project: Settings, settings: ServingSettings) -> None:
        """Keep it in step with the ledger and the lake from now on."""
        # The ledger and the catalog need SQLAlchemy: not loaded where only what is packed is served.
        from services.following import Follower

        self._follower = Follower(project, settings, lambda: self.serving, self._take, self.attempts)
        self._follower.start()

    def stop(self) -> None:
        """Follow no more."""
        if self._follower:
            self._follower.stop()

    def describe(self) -> dict[str, Any]:
        """What serves, since when, how old its features are, and what could not be loaded."""
        serving, follower = self.serving, self._follower
        contract, store = serving.bundle.contract, serving.store
        return {
            "model": {"name": serving.bundle.model, "version": serving.bundle.version},
            "loaded_at": serving.loaded_at,
            "features_as_of": store.as_of,
            "edition": {"id": store.edition_id, "at": store.edition_at},
            "online_tables": store.tables,
            "not_compiled": serving.features.not_compiled,
            "follows_ledger": follower is not None,
            "looked_at": follower.looked_at if follower else None,
            "failures": [failure.as_json() for failure in self.attempts.failures],
            "task": contract.task,
            "entity": contract.entity,
            "label": contract.label,
            "request": contract.request,
            "features": contract.features,
        }

    def _take(self, serving: Serving, what: str) -> None:
        before, self.serving = self.serving, serving
        self._metrics.loaded(what)
        self._tell(before.bundle.version)
        _LOG.info(
            'now serving "%s" %s over edition %s',
            serving.bundle.model,
            serving.bundle.version[:12],
            serving.store.edition_id,
        )

    def _tell(self, before: str | None) -> None:
        bundle, as_of = self.serving.bundle, self.serving.store.as_of
        self._metrics.serving(bundle.model, bundle.version, before, as_of)

"""One endpoint process: the Serving in place, the threads that work with it, and the replies it gives.

Sockets, paths and headers are the edge's matter.
"""

import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ml.bundle import load
from ml.online import OnlineStore
from ml.settings import Settings
from services.attempts import Attempts
from services.metrics import Metrics
from services.orphans import end_with_parent
from services.problems import MEDIA_TYPE, Kind, RequestRefused
from services.serving import Serving
from services.settings import ServingSettings

if TYPE_CHECKING:
    from services.following import Follower

_LOG = logging.getLogger("bentoml.headwater")


@dataclass(frozen=True)
class Reply:
    """Status, media type and body."""

    status: int
    media_type: str
    body: bytes


class Endpoint:
    """Answers requests with what serves; a request sees one Serving from beginning to end."""

    def __init__(self, settings: ServingSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="predict")
        self._attempts = Attempts(self.metrics.failed)
        self._follower: Follower | None = None
        bundle, store = load(settings.packed / "bundle"), OnlineStore.from_folder(settings.packed / "online")
        self.serving = Serving.assemble(bundle, store, settings.max_instances, settings.ahead)
        self._tell(self.serving, None)

    def start(self) -> None:
        """Follow the project if the settings say so, and leave what was loaded out of garbage collection."""
        end_with_parent()
        if self.settings.follow:
            # The ledger and the catalog need SQLAlchemy: not loaded where only what is packed is served.
            from services.following import Follower

            project = Settings.from_env()
            self._follower = Follower(
                project, self.settings, lambda: self.serving, self._take, self._attempts
            )
            self._follower.start()
        # BentoML's timers and half a million loaded objects made collections of 120 to 220 ms.
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """End the threads; requests under way are finished."""
        if self._follower:
            self._follower.stop()
        self.threads.shutdown(wait=True, cancel_futures=True)

    def predict(self, body: bytes) -> Reply:
        """The reply to a body sent to /predict; never raises."""
        serving = self.serving
        try:
            prediction = serving.predict(body)
        except RequestRefused as refusal:
            return self.refused(refusal)
        except Exception:  # noqa: BLE001  the caller learns that it failed, the log why
            _LOG.exception("a request failed with %s", serving.bundle.version[:12])
            return self.refused(RequestRefused(Kind.FAILED, "This is not the fault of the request."))
        self.metrics.predicted(serving.bundle.version, prediction.n_rows, prediction.stages)
        self.metrics.answered(200)
        return Reply(200, "application/json", msgspec.json.encode(prediction.body))

    def refused(self, refusal: RequestRefused) -> Reply:
        """The reply to a request that can't be answered."""
        self.metrics.answered(refusal.kind.status, refusal.kind.slug)
        return Reply(refusal.kind.status, MEDIA_TYPE, msgspec.json.encode(refusal.as_json()))

    def describe(self) -> Reply:
        """What serves, since when, how old its features are, and what could not be loaded."""
        return Reply(200, "application/json", msgspec.json.encode(self._description()))

    def _description(self) -> dict[str, Any]:
        serving, follower = self.serving, self._follower
        contract, store = serving.bundle.contract, serving.store
        return {
            "model": {"name": serving.bundle.model, "version": serving.bundle.version},
            "loaded_at": serving.loaded_at,
            "features_as_of": store.as_of,
            "edition": {"id": store.edition_id, "at": store.edition_at},
            "online_tables": store.tables,
            "follows_ledger": follower is not None,
            "looked_at": follower.looked_at if follower else None,
            "failures": [failure.as_json() for failure in self._attempts.failures],
            "task": contract.task,
            "entity": contract.entity,
            "label": contract.label,
            "request": contract.request,
            "features": contract.features,
        }

    def _take(self, serving: Serving, what: str) -> None:
        before, self.serving = self.serving, serving
        self.metrics.loaded(what)
        self._tell(serving, before.bundle.version)
        _LOG.info(
            'now serving "%s" %s over edition %s',
            serving.bundle.model,
            serving.bundle.version[:12],
            serving.store.edition_id,
        )

    def _tell(self, serving: Serving, before: str | None) -> None:
        self.metrics.serving(serving.bundle.version, before, serving.store.as_of)

"""One endpoint process: the Serving in place, the threads that work with it, and the replies it gives.

Sockets, paths and headers are the edge's matter.
"""

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ml.bundle import load
from ml.errors import AnswerIdMalformed, AnswerNotLogged, InfiniteValues, nearest
from ml.online import OnlineStore
from ml.prediction_log.compaction import Gap
from ml.prediction_log.ids import Ids
from ml.prediction_log.record import Route
from ml.settings import Settings
from services.access import Access
from services.attempts import Attempts
from services.logged import Logged
from services.metrics import Metrics
from services.orphans import end_with_parent
from services.problems import MEDIA_TYPE, Kind, RequestRefused
from services.served import Served
from services.serving import NOTHING_MORE, More, Prediction, Serving
from services.settings import ServingSettings

if TYPE_CHECKING:
    from services.others import Others
    from services.telling import Telling

_LOG = logging.getLogger("bentoml.headwater")
_COUNT_S = 0.1
_SWITCH_S = 0.0005
Answer = Callable[[bytes, More], Prediction]
_encode = msgspec.json.Encoder().encode


class Reply(NamedTuple):
    """Status, media type, body, and headers beside those that every reply has."""

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


_READY = Reply(200, "text/plain; charset=utf-8", b"ready\n")


class Endpoint:
    """Answers with what serves: the packed model, and where a project is followed all of its models."""

    def __init__(self, settings: ServingSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.access = Access.of(settings.host, settings.keys, settings.keys_named)
        self.threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="predict")
        self._others: Others | None = None
        self._telling: Telling | None = None
        self._closed = threading.Event()
        self._logged: Logged | None = None
        self._ids: Ids | Logged = Ids()
        self._attempts = Attempts(metrics.failed)
        bundle, store = load(settings.packed / "bundle"), OnlineStore.from_folder(settings.packed / "online")
        self._own = Served(Serving.assemble(bundle, store, settings.max_instances, settings.ahead), metrics)
        self.models = {bundle.model: self._own}

    @property
    def serving(self) -> Serving:
        """What answers at /predict: the packed model."""
        return self._own.serving

    @serving.setter
    def serving(self, serving: Serving) -> None:
        self._own.serving = serving

    def start(self) -> None:
        """Follow the project if the settings say so, and leave what was loaded out of garbage collection."""
        end_with_parent()
        if self.settings.log:
            self._ids = self._logged = Logged(self.settings.log, self._tell_gap)
        if self.settings.follow:
            # The ledger and the catalog need SQLAlchemy: not loaded where only what is packed is served.
            from services.others import Others

            project = Settings.from_env()
            self._own.follow(project, self.settings)
            self._others = Others(project, self.settings, self._names, self._add, self._attempts)
            self._others.start()
            from services.telling import Telling

            self._telling = Telling(project)
        threading.Thread(target=self._count, name="metrics", daemon=True).start()
        # What threads do aside in between, a request waits for: by default up to 5 ms.
        sys.setswitchinterval(_SWITCH_S)
        # BentoML's timers and half a million loaded objects made collections of 120 to 220 ms.
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """End the threads; requests under way are finished."""
        if self._others:
            self._others.stop()
        for served in self.models.values():
            served.stop()
        self._closed.set()
        self.threads.shutdown(wait=True, cancel_futures=True)
        if self._logged:
            self._logged.close()

    def predict(self, body: bytes, model: str | None = None, more: More = NOTHING_MORE) -> Reply:
        """The reply to a body sent to /predict, or to /predict/<model>; never raises."""
        return self._answered("predict", self._serving(model), body, more)

    def score(self, body: bytes, model: str | None = None, more: More = NOTHING_MORE) -> Reply:
        """The reply to a body sent to /score, or to /score/<model>; never raises."""
        return self._answered("score", self._serving(model), body, more)

    def score_arrow(self, body: bytes, model: str | None = None, more: More = NOTHING_MORE) -> Reply:
        """The same of an Arrow stream."""
        serving = self._serving(model)
        return self._answered("score", serving, body, more, serving.score_arrow)

    def _serving(self, model: str | None) -> Serving:
        return (self.models[model] if model else self._own).serving

    def _answered(
        self, route: Route, serving: Serving, body: bytes, more: More, answer: Answer | None = None
    ) -> Reply:
        try:
            answer = answer or (serving.predict if route == "predict" else serving.score)
            prediction = answer(body, more)
        except RequestRefused as refusal:
            return self.refused(refusal)
        except InfiniteValues as infinite:
            return self.refused(RequestRefused(Kind.NOT_COMPUTED, str(infinite)))
        except Exception:  # noqa: BLE001  the caller learns that it failed, the log why
            _LOG.exception("a request failed with %s", serving.bundle.version[:12])
            return self.refused(RequestRefused(Kind.FAILED, "This is not the fault of the request."))
        answer_id = self._ids.next_id()
        stages = prediction.stages
        if self._logged:
            started = time.perf_counter()
            self._logged.add(answer_id, route, serving, prediction, body)
            stages["log"] = time.perf_counter() - started
        self.metrics.predicted(serving.bundle.version, len(prediction.rows), stages)
        self.metrics.answered(200)
        prediction.body["id"] = answer_id
        return Reply(200, "application/json", _encode(prediction.body))

    def receipt(self, answer_id: str) -> Reply:
        """What an answer rests on, each step verified; takes seconds."""
        from ml.answer_receipt import receipt_of

        if not self.settings.follow or self.settings.log is None:
            detail = "This endpoint follows no project, or keeps no log: it can't look an answer up."
            return self.refused(RequestRefused(Kind.UNKNOWN_ANSWER, detail))
        try:
            told = receipt_of(Settings.from_env(), answer_id)
        except (AnswerIdMalformed, AnswerNotLogged) as unknown:
            return self.refused(RequestRefused(Kind.UNKNOWN_ANSWER, str(unknown)))
        except Exception:  # noqa: BLE001  the caller learns that it failed, the log why
            _LOG.exception("the receipt of %s failed", answer_id)
            return self.refused(RequestRefused(Kind.FAILED, "This is not the fault of the request."))
        self.metrics.answered(200)
        verified = {"is_verified": told.is_verified}
        return Reply(200, "application/json", _encode({**msgspec.to_builtins(told), **verified}))

    def refused(self, refusal: RequestRefused) -> Reply:
        """The reply to a request that can't be answered."""
        self.metrics.answered(refusal.kind.status, refusal.kind.slug)
        headers: list[tuple[bytes, bytes]] = []
        if refusal.kind is Kind.NO_KEY:
            headers.append((b"www-authenticate", b"Bearer"))
        if refusal.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % ceil(refusal.retry_after_s)))
        told = msgspec.json.encode(refusal.as_json())
        return Reply(refusal.kind.status, MEDIA_TYPE, told, tuple(headers))

    def describe(self, model: str | None = None) -> Reply:
        """What serves, since when, how old its features are, and what could not be loaded."""
        served = self.models[model] if model else self._own
        told = served.describe()
        told["failures"] += [failure.as_json() for failure in self._attempts.failures]
        told["models"] = sorted(self.models)
        told["log"] = self._logged.state if self._logged else None
        return Reply(200, "application/json", msgspec.json.encode(told))

    def coming(self, model: str | None = None) -> Reply:
        """Who can be asked about next, by time; nobody where no project is followed."""
        serving = self._serving(model)
        told = self._telling.coming(serving) if self._telling else []
        return Reply(200, "application/json", _encode({"coming": told}))

    def about(self, model: str | None = None) -> Reply:
        """The model's card and history, as far as a project is followed that knows them."""
        serving = self._serving(model)
        known = self._telling.about(serving) if self._telling else {"card": None, "history": []}
        return Reply(200, "application/json", _encode(known))

    def readiness(self, model: str | None = None) -> Reply:
        """A 200 while the model's features are no older than declared, else a 503."""
        late = (self.models[model] if model else self._own).serving.too_late(datetime.now(UTC))
        return self.refused(RequestRefused(Kind.NOT_READY, late)) if late else _READY

    def refuse_unknown(self, model: str) -> None:
        """Raises RequestRefused when there is no such model."""
        if model not in self.models:
            detail = f'No model "{model[:100]}" answers here. {nearest(model, self.models)}'
            raise RequestRefused(Kind.UNKNOWN_MODEL, detail)

    def count(self) -> None:
        """Bring the metrics up to date."""
        if self._logged:
            self.metrics.queued(self._logged.n_queued)
        self.metrics.flush()

    def _count(self) -> None:
        while not self._closed.wait(_COUNT_S):
            self.count()

    def _tell_gap(self, gap: Gap) -> None:
        """Say that answers are missing in the log: in the ledger too, where one is followed."""
        _LOG.warning("answers from %d on of process %s are not logged", gap.counts[0], gap.process)
        if self.settings.follow:
            from services.following import note_gap

            self._attempts.attempt("record", gap.key, lambda: note_gap(Settings.from_env(), gap))

    def _names(self) -> tuple[str, ...]:
        return tuple(self.models)

    def _add(self, serving: Serving) -> None:
        served = Served(serving, self.metrics)
        served.follow(Settings.from_env(), self.settings)
        self.models = {**self.models, serving.bundle.model: served}
        _LOG.info('now serving "%s" %s too', serving.bundle.model, serving.bundle.version[:12])

"""What the endpoint counts for Prometheus, beside what BentoML counts itself.

Made when a worker starts, not at import: prometheus_client reads its multiprocess folder when first imported.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

T = TypeVar("T")
_SECONDS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Requests, their stages and refusals; what is loaded, how old its features are, what failed to load."""

    def __init__(self, registry: "CollectorRegistry | None" = None) -> None:
        from prometheus_client import REGISTRY, Gauge, Histogram
        from prometheus_client import Counter as Counted

        into = registry or REGISTRY
        self._requests = Counted("headwater_requests", "Requests by HTTP status", ["status"], registry=into)
        self._refusals = Counted("headwater_refusals", "Requests refused", ["reason"], registry=into)
        self._predictions = Counted("headwater_predictions", "Rows predicted", ["version"], registry=into)
        self._stages = Histogram(
            "headwater_stage_seconds", "Time of each stage", ["stage"], registry=into, buckets=_SECONDS
        )
        self._loads = Counted(
            "headwater_loads", "Models and editions taken into service", ["what"], registry=into
        )
        self._failures = Counted("headwater_load_failures", "What was not taken", ["what"], registry=into)
        self._features_as_of = Gauge(
            "headwater_features_as_of_seconds",
            "Unix time of the newest fact the features know",
            ["model"],
            registry=into,
            multiprocess_mode="livemin",
        )
        self._queued = Gauge(
            "headwater_log_queue",
            "Answers that are not written to the prediction log yet",
            registry=into,
            multiprocess_mode="livesum",
        )
        self._noted: deque[tuple[int, str | None]] = deque()
        self._stages_noted: deque[tuple[str, int, Mapping[str, float]]] = deque()
        self._children: dict[tuple[str, str], Any] = {}
        self._serving = Gauge(
            "headwater_serving",
            "Processes that serve the model version",
            ["version"],
            registry=into,
            multiprocess_mode="livesum",
        )

    def answered(self, status: int, reason: str | None = None) -> None:
        """Count a request; `reason` is a problem's slug."""
        self._noted.append((status, reason))

    def predicted(self, version: str, n_rows: int, stages: Mapping[str, float]) -> None:
        """Count rows, and observe how long each stage took, in seconds."""
        self._stages_noted.append((version, n_rows, stages))

    def flush(self) -> None:
        """Give what was noted to Prometheus' library, which takes as long for one as for a thousand."""
        noted, stages = _taken(self._noted), _taken(self._stages_noted)
        for (status, reason), n in Counter(noted).items():
            self._child(self._requests, str(status)).inc(n)
            if reason:
                self._child(self._refusals, reason).inc(n)
        n_rows: Counter[str] = Counter()
        took: defaultdict[str, list[float]] = defaultdict(list)
        for version, n, seconds in stages:
            n_rows[version] += n
            for stage in seconds:
                took[stage].append(seconds[stage])
        for version, n in n_rows.items():
            self._child(self._predictions, version).inc(n)
        for stage, values in took.items():
            _observe(self._child(self._stages, stage), values)

    def queued(self, n_answers: int) -> None:
        """Say how many answers wait to be logged."""
        self._queued.set(n_answers)

    def serving(self, model: str, version: str, before: str | None, as_of: datetime | None) -> None:
        """Say what is in service from now on."""
        if before and before != version:
            self._serving.labels(before).set(0)
        self._serving.labels(version).set(1)
        self._features_as_of.labels(model).set((as_of or datetime.fromtimestamp(0, UTC)).timestamp())

    def _child(self, of: Any, label: str) -> Any:
        """A metric's child, looked up once: the library's own look-up takes longer than counting."""
        child = self._children.get((of._name, label))
        if child is None:
            child = self._children[of._name, label] = of.labels(label)
        return child

    def loaded(self, what: str) -> None:
        """Count a model or an edition taken into service."""
        self._loads.labels(what).inc()

    def failed(self, what: str) -> None:
        """Count a model, an edition or a look at the ledger that failed."""
        self._failures.labels(what).inc()


def _taken(noted: deque[T]) -> list[T]:
    """What is in it now; what others append meanwhile stays for the next time."""
    return [noted.popleft() for _ in range(len(noted))]


def _observe(histogram: Any, values: Sequence[float]) -> None:
    """As `observe` of each, in one step: that one takes longer than what it measures."""
    taken = np.array(values)
    for place, n in enumerate(np.bincount(np.searchsorted(histogram._upper_bounds, taken)).tolist()):
        if n:
            histogram._buckets[place].inc(n)
    histogram._sum.inc(float(taken.sum()))

"""What the endpoint counts for Prometheus, beside what BentoML counts itself.

Made when a worker starts, not at import: prometheus_client reads its multiprocess folder when first imported.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Requests, their stages and refusals; what is loaded, how old its features are, what failed to load."""

    def __init__(self, registry: "CollectorRegistry | None" = None) -> None:
        from prometheus_client import REGISTRY, Counter, Gauge, Histogram

        into = registry or REGISTRY
        self._requests = Counter("headwater_requests", "Requests by HTTP status", ["status"], registry=into)
        self._refusals = Counter("headwater_refusals", "Requests refused", ["reason"], registry=into)
        self._predictions = Counter("headwater_predictions", "Rows predicted", ["version"], registry=into)
        self._stages = Histogram(
            "headwater_stage_seconds", "Time of each stage", ["stage"], registry=into, buckets=_SECONDS
        )
        self._loads = Counter(
            "headwater_loads", "Models and editions taken into service", ["what"], registry=into
        )
        self._failures = Counter("headwater_load_failures", "What was not taken", ["what"], registry=into)
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
        self._child(self._requests, str(status)).inc()
        if reason:
            self._refusals.labels(reason).inc()

    def predicted(self, version: str, n_rows: int, stages: Mapping[str, float]) -> None:
        """Count rows and observe how long each stage took, in seconds."""
        self._child(self._predictions, version).inc(n_rows)
        for stage, seconds in stages.items():
            self._child(self._stages, stage).observe(seconds)

    def logged(self, seconds: float, n_queued: int) -> None:
        """Observe how long an answer took to be queued for the log, and how many wait there."""
        self._child(self._stages, "log").observe(seconds)
        self._queued.set(n_queued)

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

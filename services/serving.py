"""What answers at one moment: a model, its online tables and its request schema, together and never changed.

Choosing, loading and swapping are not done here, and no HTTP is spoken.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import isfinite
from typing import Any

import msgspec
import pyarrow as pa

from ml.bundle import Bundle
from ml.errors import SelfTestFailed
from ml.online import OnlineStore
from ml.scoring import Scorer
from services.answering import answer, check_reach
from services.example import example_instance
from services.problems import RequestRefused
from services.request_schema import RequestSchema


@dataclass(frozen=True)
class Prediction:
    """An answer's JSON, how many rows it has, and the seconds each stage took."""

    body: Mapping[str, Any]
    n_rows: int
    stages: Mapping[str, float]


@dataclass(frozen=True)
class Serving:
    """One model over one edition; `ahead` is how far past the newest known fact a prediction may lie."""

    bundle: Bundle
    store: OnlineStore
    schema: RequestSchema
    scorer: Scorer
    ahead: timedelta
    loaded_at: datetime

    @classmethod
    def assemble(cls, bundle: Bundle, store: OnlineStore, max_instances: int, ahead: timedelta) -> "Serving":
        """Put together and test; raises SelfTestFailed, or what engine and DuckDB raise for a bad bundle.

        Features that the bundle's SQL does not give, or gives as another type, are refused by name.
        """
        schema = RequestSchema(bundle.contract.request, max_instances)
        return cls(bundle, store, schema, Scorer(bundle), ahead, datetime.now(UTC))._tested()

    def over(self, store: OnlineStore) -> "Serving":
        """The same model over other online tables, tested."""
        return replace(self, store=store)._tested()

    @cached_property
    def example(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """A request this model answers, and its answer; raises SelfTestFailed when it does not."""
        request = {"instances": [example_instance(self.schema.columns, self.store.as_of)]}
        try:
            features = self._features(self.schema.decode(msgspec.json.encode(request)))
            return request, answer(self.bundle, self.store, features, self.scorer.score(features))
        except RequestRefused as refusal:
            reason = f"its example was refused ({refusal.detail})"
            raise SelfTestFailed(self.bundle.model, self.bundle.version, reason) from refusal

    def predict(self, body: bytes) -> Prediction:
        """Answer a request's body; raises RequestRefused when the caller is to blame."""
        started = time.perf_counter()
        request = self.schema.decode(body)
        parsed = time.perf_counter()
        features = self._features(request)
        check_reach(features, self.store, self.ahead)
        found = time.perf_counter()
        scores = self.scorer.score(features)
        scored = time.perf_counter()
        stages = {"parse": parsed - started, "features": found - parsed, "score": scored - found}
        return Prediction(answer(self.bundle, self.store, features, scores), len(scores), stages)

    def _features(self, request: pa.Table) -> pa.Table:
        return self.store.features(request, self.bundle.feature_sql)

    def _tested(self) -> "Serving":
        """Itself, when the example's answer is what its task has: numbers, or probabilities."""
        told = self.example[1]["predictions"]
        scores = [
            score
            for one in told
            for score in one.get("probabilities", {"": one.get("score", one.get("prediction"))}).values()
        ]
        is_sound = all(isfinite(score) for score in scores)
        if self.bundle.contract.task in ("binary", "multiclass"):
            is_sound = is_sound and all(0 <= score <= 1 for score in scores)
        if not is_sound:
            what = "numbers" if self.bundle.contract.task in ("regression", "ranking") else "probabilities"
            reason = f"its example scored {scores}, which are no {what}"
            raise SelfTestFailed(self.bundle.model, self.bundle.version, reason)
        return self

"""What answers at one moment: a model, its online tables and its request schema, together and never changed.

Choosing, loading and swapping are not done here, and no HTTP is spoken.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import isfinite
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ml.bundle import Bundle
from ml.contract import Contract
from ml.errors import EngineRefused, FeatureNotComputed, InfiniteValues, SelfTestFailed
from ml.explanation import explain
from ml.feature_definition import Column
from ml.online import OnlineStore
from ml.online_plan.kinds import Kind, of_arrow
from ml.row_scoring import RowCoder, RowScorer, Unseen
from ml.samples import Samples
from ml.scoring import as_matrix, encode
from ml.verification import read
from services import arrow_body
from services.answering import Answers
from services.columns import STORED
from services.example import example_instance
from services.features import Features, features_of
from services.problems import FieldError, RequestRefused
from services.problems import Kind as Refusal
from services.request_schema import RequestSchema
from services.selftest import checked_samples, refuse_slow

Row = Sequence[Any]
Matrix = NDArray[np.float64]
_EXACT = 2**53  # beyond it float64, which models count in, does not hold every integer


@dataclass(frozen=True)
class More:
    """What is asked for beside the predictions: the values of features and what the model was given of them
    (`coded`), and what each adds to the score.
    """

    features: bool = False
    explain: bool = False

    @property
    def is_asked(self) -> bool:
        """Anything at all."""
        return self.features or self.explain


NOTHING_MORE = More()


class Prediction(NamedTuple):
    """An answer's JSON, what it was made of, and the seconds each stage took.

    `names` are of the values of each of `rows`: what the model was given, and what came with it. Rows that
    came as an Arrow stream are `table`, and have no values in `rows`.
    """

    body: dict[str, Any]
    names: Sequence[str]
    rows: Sequence[Row]
    scores: Sequence[Any]
    stages: dict[str, float]
    table: bytes | None = None


@dataclass(frozen=True)
class Route:
    """One way to ask: the schema of bodies, how rows are coded for the model, and how answers are worded."""

    schema: RequestSchema
    coder: RowCoder
    answers: Answers
    names: Sequence[str]
    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class Serving:
    """One model over one edition; `ahead` is how far past the newest known fact a prediction may lie.

    `max_age` is how old that fact may be.

    `entities` is asked with what a request carries, `given` with the values of features.
    """

    bundle: Bundle
    store: OnlineStore
    features: Features
    scorer: RowScorer
    entities: Route
    given: Route
    ahead: timedelta
    max_age: timedelta | None
    samples: Samples | None
    loaded_at: datetime

    @classmethod
    def assemble(cls, bundle: Bundle, store: OnlineStore, max_instances: int, ahead: timedelta) -> "Serving":
        """Put together and test; raises SelfTestFailed, or what engine and DuckDB raise for a bad bundle.

        Features that the bundle's SQL does not give, or gives as another type, are refused by name.
        """
        contract, scorer = bundle.contract, RowScorer(read(bundle))
        features = features_of(bundle, store)
        entities = Route(
            RequestSchema(contract.request, max_instances),
            RowCoder(contract, features.types),
            Answers.over(contract, features.names, store, ahead, features.first),
            features.names,
            tuple(of_arrow(stored) for stored in features.types.values()),
        )
        columns = _feature_columns(contract)
        names = [column.name for column in columns]
        given = Route(
            RequestSchema(columns, max_instances),
            RowCoder(contract, {column.name: STORED[column.kind] for column in columns}),
            Answers.over(contract, (), store, ahead),
            names,
            tuple(column.kind for column in columns),
        )
        hours = bundle.declaration.features.max_age_hours
        max_age = None if hours is None else timedelta(hours=hours)
        now = datetime.now(UTC)
        found = checked_samples(bundle, scorer)
        return cls(bundle, store, features, scorer, entities, given, ahead, max_age, found, now)._tested()

    def over(self, store: OnlineStore) -> "Serving":
        """The same model over other online tables, tested."""
        features = self.features.over(store)
        answers = Answers.over(self.bundle.contract, features.names, store, self.ahead, features.first)
        entities = replace(self.entities, answers=answers)
        return replace(self, store=store, features=features, entities=entities)._tested()

    @property
    def schema(self) -> RequestSchema:
        """Of requests with entities."""
        return self.entities.schema

    @cached_property
    def named(self) -> Mapping[str, str]:
        """Name and version of the model."""
        return {"name": self.bundle.model, "version": self.bundle.version}

    @cached_property
    def example(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """A request this model answers, and its answer; raises SelfTestFailed when it does not."""
        request = {"instances": [example_instance(self.schema.columns, self.store.as_of)]}
        try:
            rows = self.features.of(self.schema.decode(msgspec.json.encode(request)))
            return request, self._answer(self.entities, rows)[0]
        except RequestRefused as refusal:
            reason = f"its example was refused ({refusal.detail})"
            raise SelfTestFailed(self.bundle.model, self.bundle.version, reason) from refusal

    @cached_property
    def example_score(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """A request with the values of features, and its answer."""
        told = self.example[0]["instances"]
        asked = self.schema.decode(msgspec.json.encode({"instances": told}))
        (row,) = self.features.of(asked)
        features = [row[place] for place in self.entities.coder.places]
        request = {"instances": [dict(zip(self.given.names, features, strict=True))]}
        return request, self._answer(self.given, [features])[0]

    def refuse_slow(self, most_ms: float) -> None:
        """Raise ModelTooSlow when the model takes longer for a row."""
        if self.samples:
            refuse_slow(self.bundle, self.scorer, self.samples, most_ms)

    def too_late(self, now: datetime) -> str | None:
        """Why it should not be asked at present: its newest fact is older than declared."""
        if self.max_age is None or not self.store.tables:
            return None
        as_of = self.store.as_of
        if as_of is None:
            return f'The online tables of "{self.bundle.model}" hold no rows yet.'
        age = now - as_of.replace(tzinfo=as_of.tzinfo or UTC)
        if age <= self.max_age:
            return None
        hours, most = age / timedelta(hours=1), self.max_age / timedelta(hours=1)
        return (
            f'The newest fact that features of "{self.bundle.model}" know is {hours:.1f} h old; declared are '
            f"at most {most:g} h (features.max_age_hours). Land newer files."
        )

    def predict(self, body: bytes, more: More = NOTHING_MORE) -> Prediction:
        """Answer a body with entities; raises RequestRefused when the caller is to blame."""
        started = time.perf_counter()
        requests = self.schema.decode(body)
        parsed = time.perf_counter()
        try:
            rows = self.features.of(requests)
        except FeatureNotComputed as failure:
            error = FieldError(f"instances[{failure.row}]", f"has no features: {failure.reason}")
            raise RequestRefused.for_fields(Refusal.NOT_COMPUTED, (error,)) from failure
        self.entities.answers.check_reach(rows)
        found = time.perf_counter()
        answer, scores = self._answer(self.entities, rows, more)
        scored = time.perf_counter()
        stages = {"parse": parsed - started, "features": found - parsed, "score": scored - found}
        return Prediction(answer, self.entities.names, rows, scores, stages)

    def score(self, body: bytes, more: More = NOTHING_MORE) -> Prediction:
        """Answer a body with the values of features; raises RequestRefused when the caller is to blame."""
        started = time.perf_counter()
        rows = self.given.schema.decode(body)
        parsed = time.perf_counter()
        answer, scores = self._answer(self.given, rows, more)
        scored = time.perf_counter()
        stages = {"parse": parsed - started, "score": scored - parsed}
        return Prediction(answer, self.given.names, rows, scores, stages)

    def score_arrow(self, body: bytes, more: More = NOTHING_MORE) -> Prediction:
        """Answer an Arrow stream of feature values; raises RequestRefused when the caller is to blame."""
        started = time.perf_counter()
        route = self.given
        table = arrow_body.decode(body, route.schema.columns, route.schema.max_instances)
        parsed = time.perf_counter()
        try:
            matrix = as_matrix(encode(table, self.bundle.contract))
        except InfiniteValues as infinite:
            error = FieldError(infinite.column, "must be finite; leave out what is not known")
            raise RequestRefused.for_fields(Refusal.INVALID, (error,)) from infinite
        unseen = [
            (n, place, table.column(place)[n].as_py())
            for place in route.coder.coders
            for n in np.isnan(matrix[:, place]).nonzero()[0].tolist()
            if table.column(place)[n].is_valid
        ]
        rows = list(zip(*table.to_pydict().values(), strict=True)) if more.is_asked else [()] * len(matrix)
        answer, scores = self._told(route, rows, matrix, unseen, more)
        stages = {"parse": parsed - started, "score": time.perf_counter() - parsed}
        return Prediction(answer, route.names, rows, scores, stages, body)

    def _answer(
        self, route: Route, rows: Sequence[Row], more: More = NOTHING_MORE
    ) -> tuple[dict[str, Any], Sequence[Any]]:
        if len(rows) == 1 and not more.is_asked:
            values, unseen = route.coder.coded_one(rows[0])
            scores = self.scorer.score_one(values)
            return self._worded(route.answers.predictions(rows, scores, unseen)), scores
        matrix, unseen = route.coder.coded(rows)
        return self._told(route, rows, matrix, unseen, more)

    def _told(
        self, route: Route, rows: Sequence[Row], matrix: Matrix, unseen: Sequence[Unseen], more: More
    ) -> tuple[dict[str, Any], Sequence[Any]]:
        scores: Sequence[Any] = self.scorer.score(matrix).tolist()
        predictions = route.answers.predictions(rows, scores, unseen)
        if more.is_asked:
            self._add(more, route, rows, matrix, predictions)
        return self._worded(predictions), scores

    def _worded(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """An answer, which has its id last of all."""
        return {
            "id": None,
            "model": self.named,
            "features_as_of": self.store.as_of,
            "predictions": predictions,
        }

    def _add(
        self,
        more: More,
        route: Route,
        rows: Sequence[Row],
        matrix: NDArray[np.float64],
        predictions: Sequence[dict[str, Any]],
    ) -> None:
        """What was asked for beside each prediction."""
        contract = self.bundle.contract
        given = [[row[place] for place in route.coder.places] for row in rows]
        if more.features:
            names = [feature.name for feature in contract.features]
            for told, values, coded in zip(predictions, given, matrix.tolist(), strict=True):
                told["features"] = dict(zip(names, values, strict=True))
                told["coded"] = coded
        if more.explain:
            try:
                explained = explain(self.scorer.fitted, contract, matrix, given)
            except EngineRefused as refusal:
                raise RequestRefused(Refusal.NOT_EXPLAINED, str(refusal)) from refusal
            for told, explanation in zip(predictions, explained, strict=True):
                told["explanation"] = explanation

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


def _feature_columns(contract: Contract) -> tuple[Column, ...]:
    """The features as columns of a request: each may be missing, and numbers may be any."""
    return tuple(
        Column(
            feature.name,
            "text" if feature.type == "category" else feature.type,
            feature.description,
            feature.unit,
            minimum=-_EXACT if feature.type == "integer" else None,
            maximum=_EXACT if feature.type == "integer" else None,
        )
        for feature in contract.features
    )

"""From features and scores to what the caller is told, with what he should know about each row.

No lookup, no scoring; what can't be answered at all is refused here only for its time.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.bundle import Bundle
from ml.contract import Contract, as_text
from ml.errors import nearest
from ml.online import OnlineStore
from services.problems import FieldError, Kind, RequestRefused

Warnings = dict[int, list[dict[str, Any]]]


def answer(
    bundle: Bundle, store: OnlineStore, features: pa.Table, scores: NDArray[np.float64]
) -> dict[str, Any]:
    """The answer's JSON: model, what the features know until, and a prediction a row, in order."""
    key = bundle.contract.key
    keys = features.column(key).to_pylist() if key in features.column_names else [None] * len(scores)
    times = _times(features)
    warnings = _warnings(bundle.contract, store, features, times)
    predictions = [
        {key: name, "prediction_at": at, **told, **_warned(warnings, place)}
        for place, (name, at, told) in enumerate(
            zip(keys, times, outputs(bundle.contract, scores), strict=True)
        )
    ]
    return {
        "model": {"name": bundle.model, "version": bundle.version},
        "features_as_of": store.as_of,
        "predictions": predictions,
    }


def outputs(contract: Contract, scores: NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    """What is told of each row's score: by the task a `score`, a `prediction`, or the classes' probabilities.

    Of classes the `prediction` is the most probable one.
    """
    if contract.task == "multiclass":
        for row in scores:
            probabilities = dict(zip(contract.classes, row.tolist(), strict=True))
            yield {"prediction": contract.classes[int(row.argmax())], "probabilities": probabilities}
        return
    name = "prediction" if contract.task == "regression" else "score"
    for score in scores.tolist():
        yield {name: score}


def check_reach(features: pa.Table, store: OnlineStore, ahead: timedelta) -> None:
    """Raise RequestRefused for rows predicted at a time the online tables don't cover."""
    if not store.tables:
        return
    if store.as_of is None or store.oldest is None:
        raise RequestRefused(
            Kind.OUT_OF_REACH, "The online tables hold no rows yet, so there are no features."
        )
    first, last = store.oldest, store.as_of + ahead
    covered = {"minimum": first, "maximum": last}
    message = f"is predicted at a time outside what the features cover, {_said(first)} to {_said(last)}"
    errors = tuple(
        FieldError(f"instances[{place}]", message, {"prediction_at": _said(at)}, covered)
        for place, at in enumerate(_times(features))
        if at is None or not first <= at <= last
    )
    if errors:
        raise RequestRefused.for_fields(Kind.OUT_OF_REACH, errors)


def _times(features: pa.Table) -> list[datetime | None]:
    times = features.column("prediction_at").to_pylist()
    return [at if at is None else at.replace(tzinfo=UTC) for at in times]


def _warnings(contract: Contract, store: OnlineStore, features: pa.Table, times: Sequence[Any]) -> Warnings:
    found: Warnings = {}
    for place, name, value, categories in _unseen(contract, features):
        message = f"was not seen in training and is treated as missing. {nearest(value, categories)}"
        found.setdefault(place, []).append({"column": name, "value": value, "message": message})
    for place, at in enumerate(times):
        if store.as_of and at > store.as_of:
            hours = (at - store.as_of) / timedelta(hours=1)
            message = f"lies {hours:.1f} h after the newest fact the features know"
            found.setdefault(place, []).append({"column": "prediction_at", "value": at, "message": message})
    return found


def _unseen(contract: Contract, features: pa.Table) -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
    for feature in contract.features:
        if feature.type == "category":
            values = as_text(features.column(feature.name))
            known = pc.is_in(values, value_set=pa.array([*feature.categories, None], pa.string()))
            for place in pc.indices_nonzero(pc.invert(known)).to_pylist():
                yield place, feature.name, values[place].as_py(), feature.categories


def _warned(warnings: Warnings, place: int) -> dict[str, Any]:
    return {"warnings": warnings[place]} if place in warnings else {}


def _said(at: datetime | None) -> str:
    return "no time" if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")

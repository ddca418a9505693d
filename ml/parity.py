"""Whether answers over HTTP are the offline ones: features, what the model was given of them, and scores.

Compared to the bit, but for declared tolerances. Which rows are asked about, and of what server, is the
caller's matter.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ml.contract import Contract
from ml.declared_parity import ParityPlan
from ml.engines.protocol import Fitted
from ml.scoring import as_matrix, encode, score

# Answers a list of instances, each as /predict?features=true tells it; None where it was refused.
Ask = Callable[[Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any] | str]]
SCORE = "score"


@dataclass(frozen=True)
class Fault:
    """A column that differs: in how many rows, and of the first which entity, and both values."""

    column: str
    what: str
    n_rows: int
    key: str
    offline: str
    online: str

    def __str__(self) -> str:
        return (
            f'{self.what} "{self.column}" differs in {self.n_rows} rows: of {self.key} it is {self.offline} '
            f"offline and {self.online} at the endpoint"
        )


@dataclass(frozen=True)
class Parity:
    """What came of comparing so many requests."""

    n_requests: int
    faults: tuple[Fault, ...]

    @property
    def is_proven(self) -> bool:
        """Everything was equal."""
        return not self.faults

    @property
    def text(self) -> str:
        """In words."""
        if self.is_proven:
            return f"{self.n_requests:,} requests over HTTP: features and scores equal the offline ones"
        return "; ".join(map(str, self.faults))


def compare(
    fitted: Fitted,
    contract: Contract,
    offline: pa.Table,
    answers: Sequence[Mapping[str, Any] | str],
    plan: ParityPlan,
) -> Parity:
    """Compare answers with the offline rows of the same entities, in the same order; these have the key."""
    keys = [str(one) for one in offline[contract.key].to_pylist()]
    refused = [(n, one) for n, one in enumerate(answers) if isinstance(one, str)]
    if refused:
        n, why = refused[0]
        fault = Fault("request", "request", len(refused), keys[n], "answered", why)
        return Parity(len(answers), (fault,))
    told = [one for one in answers if not isinstance(one, str)]
    matrix = as_matrix(encode(offline, contract)).tolist()
    scores = score(fitted, contract, offline).tolist()
    columns = [
        *(
            ("feature", f.name, offline[f.name].to_pylist(), [one["features"].get(f.name) for one in told])
            for f in contract.features
        ),
        *(
            ("coded feature", f.name, [row[n] for row in matrix], [_at(one["coded"], n) for one in told])
            for n, f in enumerate(contract.features)
        ),
        ("prediction", SCORE, scores, [_score(contract, one) for one in told]),
    ]
    within = {name: tolerance.within for name, tolerance in plan.tolerances.items()}
    faults = (
        _fault(what, name, (keys, theirs, ours), within.get(name)) for what, name, theirs, ours in columns
    )
    return Parity(len(answers), tuple(fault for fault in faults if fault is not None))


def _fault(
    what: str, column: str, told: tuple[Sequence[str], Sequence[Any], Sequence[Any]], within: float | None
) -> Fault | None:
    keys, offline, online = told
    differ = [n for n in range(len(keys)) if not _is_same(offline[n], online[n], within)]
    if not differ:
        return None
    first = differ[0]
    return Fault(column, what, len(differ), keys[first], _shown(offline[first]), _shown(online[first]))


def _is_same(offline: Any, online: Any, within: float | None) -> bool:
    if isinstance(offline, list) and isinstance(online, list):
        pairs = zip(offline, online, strict=False)
        return len(offline) == len(online) and all(_is_same(a, b, within) for a, b in pairs)
    if within is not None and _is_number(offline) and _is_number(online):
        return bool(abs(offline - online) <= within)
    return _shown(offline) == _shown(online)


def _shown(value: Any) -> str:
    """What makes two values one: NaN is missing, and a number of another width is the same number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return repr(float(value)) if _is_number(value) else repr(value)


def _is_number(value: Any) -> bool:
    is_plain = isinstance(value, int | float) or type(value).__name__ == "Decimal"
    return is_plain and not isinstance(value, bool)


def _score(contract: Contract, told: Mapping[str, Any]) -> Any:
    if contract.task == "multiclass":
        return [told["probabilities"].get(name) for name in contract.classes]
    return told.get("prediction" if contract.task == "regression" else "score")


def _at(values: Sequence[Any], place: int) -> Any:
    return values[place] if place < len(values) else "nothing"

"""From features and scores to what the caller is told, with what he should know about each row.

No lookup, no scoring; what can't be answered at all is refused here only for its time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from ml.contract import Contract
from ml.errors import nearest
from ml.online import OnlineStore
from ml.online_plan.kinds import microseconds
from services.problems import FieldError, Kind, RequestRefused

Row = Sequence[Any]
Unseen = Sequence[tuple[int, int, Any]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = 3_600_000_000


@dataclass(frozen=True)
class Answers:
    """Words for one contract's predictions; `key` and `at` are the places of a row's key and time, if it has.

    `first` and `last` bound the times that can be answered, `as_of` is the newest fact: in microseconds since
    1970, None without online tables. Before `whole_from` lookups may find less than the training path did.
    """

    contract: Contract
    key: int | None
    at: int | None
    as_of: int | None
    first: int | None
    last: int | None
    has_tables: bool
    whole_from: int | None = None

    @classmethod
    def over(
        cls,
        contract: Contract,
        names: Sequence[str],
        store: OnlineStore,
        ahead: timedelta,
        whole_from: datetime | None = None,
    ) -> "Answers":
        """For rows of those names over those tables; predictions may lie `ahead` after the newest fact.

        From `whole_from` on the tables hold all that is looked back to.
        """
        as_of = None if store.as_of is None else microseconds(store.as_of)
        return cls(
            contract=contract,
            key=_place(names, contract.key),
            at=_place(names, "prediction_at"),
            as_of=as_of,
            first=None if store.oldest is None else microseconds(store.oldest),
            last=None if as_of is None else as_of + ahead // timedelta(microseconds=1),
            has_tables=bool(store.tables),
            whole_from=None if whole_from is None else microseconds(whole_from),
        )

    def check_reach(self, rows: Sequence[Row]) -> None:
        """Raise RequestRefused for rows predicted at a time the online tables don't cover."""
        if not self.has_tables or self.at is None:
            return
        first, last, at = self.first, self.last, self.at
        if first is None or last is None:
            raise RequestRefused(
                Kind.OUT_OF_REACH, "The online tables hold no rows yet, so there are no features."
            )
        if all(row[at] is not None and first <= row[at] <= last for row in rows):
            return
        covered = {"minimum": _time(first), "maximum": _time(last)}
        message = f"is predicted at a time outside what the features cover, {_said(first)} to {_said(last)}"
        errors = tuple(
            FieldError(f"instances[{n}]", message, {"prediction_at": _said(row[at])}, covered)
            for n, row in enumerate(rows)
            if row[at] is None or not first <= row[at] <= last
        )
        raise RequestRefused.for_fields(Kind.OUT_OF_REACH, errors)

    def predictions(self, rows: Sequence[Row], scores: Sequence[Any], unseen: Unseen) -> list[dict[str, Any]]:
        """A prediction a row, in order."""
        told = []
        for row, output in zip(rows, outputs(self.contract, scores), strict=True):
            one: dict[str, Any] = {}
            if self.key is not None:
                one[self.contract.key] = row[self.key]
            if self.at is not None:
                one["prediction_at"] = _time(row[self.at])
                one |= output
                if self.as_of is not None and row[self.at] > self.as_of:
                    one["warnings"] = [_late(row[self.at], self.as_of)]
                elif self.whole_from is not None and row[self.at] < self.whole_from:
                    one["warnings"] = [_early(row[self.at], self.whole_from)]
            else:
                one |= output
            told.append(one)
        for n, place, value in unseen:
            feature = self.contract.features[place]
            warning = {"column": feature.name, "value": value, "message": _unseen(value, feature.categories)}
            told[n]["warnings"] = [warning, *told[n].get("warnings", ())]
        return told


def outputs(contract: Contract, scores: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What is told of each row's score: by the task a `score`, a `prediction`, or the classes' probabilities.

    Of classes the `prediction` is the most probable one, of equal ones the first.
    """
    if contract.task == "multiclass":
        for row in scores:
            probabilities = dict(zip(contract.classes, row, strict=True))
            yield {"prediction": contract.classes[row.index(max(row))], "probabilities": probabilities}
        return
    name = "prediction" if contract.task == "regression" else "score"
    for score in scores:
        yield {name: score}


def _place(names: Sequence[str], name: str) -> int | None:
    return names.index(name) if name in names else None


def _late(at: int, as_of: int) -> Mapping[str, Any]:
    message = f"lies {(at - as_of) / _HOUR:.1f} h after the newest fact the features know"
    return {"column": "prediction_at", "value": _time(at), "message": message}


def _early(at: int, whole_from: int) -> Mapping[str, Any]:
    message = (
        f"lies before {_said(whole_from)}, from when on all that features look back to is held here: they "
        "may know less of that time than in training"
    )
    return {"column": "prediction_at", "value": _time(at), "message": message}


# To look for the nearest of 500 names takes milliseconds, and the same few strange ones come again and again.
@lru_cache(1000)
def _unseen(value: Any, categories: tuple[str, ...]) -> str:
    return f"was not seen in training and is treated as missing. {nearest(str(value), categories)}"


def _time(at: int | None) -> datetime | None:
    return None if at is None else _EPOCH + timedelta(microseconds=at)


def _said(at: int | None) -> str:
    time = _time(at)
    return "no time" if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")

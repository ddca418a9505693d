"""What a request must look like, made from columns of a model's contract; a good one becomes rows of values.

One typed decode for good requests; what is wrong with a bad one is found out elsewhere.
"""

from collections.abc import Callable, Sequence
from types import GenericAlias
from typing import Annotated, Any

import msgspec

from ml.feature_definition import Column
from ml.online_plan.kinds import days, microseconds
from services.columns import YEARS, decoded_type, for_program, in_words
from services.diagnosis import Diagnosis
from services.problems import FieldError, Kind, RequestRefused

_HELD: dict[str, Callable[[Any], int]] = {"timestamp": microseconds, "date": days}


class RequestSchema:
    """Decodes and checks bodies for one contract's columns."""

    def __init__(self, columns: Sequence[Column], max_instances: int) -> None:
        self.columns = tuple(columns)
        self.max_instances = max_instances
        types = {column.name: decoded_type(column) for column in columns}
        fields = [
            (f"c{place}", types[c.name]) if c.is_required else (f"c{place}", types[c.name], None)
            for place, c in enumerate(columns)
        ]
        instance = msgspec.defstruct(
            "Instance",
            fields,
            kw_only=True,
            forbid_unknown_fields=True,
            rename={f"c{place}": column.name for place, column in enumerate(columns)},
            gc=False,
        )
        length = msgspec.Meta(min_length=1, max_length=max_instances)
        instances: Any = Annotated[GenericAlias(list, (instance,)), length]
        body = msgspec.defstruct("Body", [("instances", instances)], forbid_unknown_fields=True)
        self._decoder: Any = msgspec.json.Decoder(body)
        self._diagnosis = Diagnosis(self.columns, types, max_instances)
        self._times = [
            (place, column, _HELD[column.kind])
            for place, column in enumerate(columns)
            if column.kind in _HELD
        ]

    def decode(self, body: bytes) -> list[Sequence[Any]]:
        """Rows of values in the order of `columns`: times as microseconds since 1970, dates as days.

        Raises RequestRefused with every error found, up to a limit.
        """
        try:
            instances = self._decoder.decode(body).instances
        except msgspec.ValidationError as refusal:
            errors = self._diagnosis.errors(_json(body)) or (FieldError("body", str(refusal)),)
            raise RequestRefused.for_fields(Kind.INVALID, errors) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
            raise _not_json(broken) from None
        rows: list[Sequence[Any]] = [msgspec.structs.astuple(instance) for instance in instances]
        return self._held(rows) if self._times else rows

    def _held(self, rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        held: list[Sequence[Any]] = []
        errors = []
        for n, row in enumerate(rows):
            values = list(row)
            for place, column, whole in self._times:
                value = values[place]
                if value is None:
                    continue
                if not YEARS[0] <= value.year <= YEARS[1]:
                    errors.append(_out_of_years(n, column, value))
                else:
                    values[place] = whole(value)
            held.append(values)
        if errors:
            raise RequestRefused.for_fields(Kind.INVALID, tuple(errors))
        return held


def _out_of_years(n: int, column: Column, value: Any) -> FieldError:
    message = f"must be {in_words(column)}, in the years {YEARS[0]} to {YEARS[1]}"
    return FieldError(f"instances[{n}].{column.name}", message, value.isoformat(), for_program(column))


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise _not_json(broken) from None


def _not_json(broken: Exception) -> RequestRefused:
    reason = "it is nested too deeply" if isinstance(broken, RecursionError) else str(broken)
    return RequestRefused(Kind.NOT_JSON, f"The body could not be read: {reason}")

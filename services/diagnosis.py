"""What is wrong with a request that did not decode: every field looked at, every error told.

Only reached by bad requests, so it may take its time; it decides by the same types as the decoder.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from ml.errors import nearest
from ml.feature_definition import Column
from services.columns import for_program, in_words
from services.problems import FieldError

_MAX_FOUND = 1000
_SHAPE = 'expected {"instances": [{…}, …]}'


class Diagnosis:
    """Finds errors in decoded JSON; `types` are the decoder's, by column."""

    def __init__(self, columns: Sequence[Column], types: Mapping[str, Any], max_instances: int) -> None:
        self._columns = tuple(columns)
        self._types = types
        self._names = list(types)
        self._max_instances = max_instances

    def errors(self, body: Any) -> tuple[FieldError, ...]:
        """In the order of the request; at most a thousand."""
        return tuple(islice(self._in_body(body), _MAX_FOUND))

    def _in_body(self, body: Any) -> Iterator[FieldError]:
        if not isinstance(body, dict):
            yield FieldError("body", f"must be an object; {_SHAPE}", body)
            return
        for name in body.keys() - {"instances"}:
            yield FieldError(name, f"is not a field; {_SHAPE}", body[name], ["instances"])
        if "instances" not in body:
            yield FieldError("instances", f"is missing; {_SHAPE}")
            return
        yield from self._in_list(body["instances"])

    def _in_list(self, instances: Any) -> Iterator[FieldError]:
        limits = {"minimum": 1, "maximum": self._max_instances}
        message = f"must be a list of 1 to {self._max_instances} objects"
        if not isinstance(instances, list):
            yield FieldError("instances", message, instances, limits)
        elif not 1 <= len(instances) <= self._max_instances:
            yield FieldError("instances", f"{message}, and has {len(instances)}", allowed=limits)
        else:
            for place, instance in enumerate(instances):
                yield from self._in_instance(f"instances[{place}]", instance)

    def _in_instance(self, place: str, instance: Any) -> Iterator[FieldError]:
        if not isinstance(instance, dict):
            yield FieldError(place, "must be an object", instance, self._names)
            return
        for name, value in instance.items():
            if name not in self._types:
                hint = nearest(name, self._names)
                yield FieldError(f"{place}.{name}", f"is not a field. {hint}", value, self._names)
        for column in self._columns:
            field = f"{place}.{column.name}"
            if column.name in instance:
                yield from self._in_value(field, column, instance[column.name])
            elif column.is_required:
                yield FieldError(
                    field, f"is missing; expected {in_words(column)}", allowed=for_program(column)
                )

    def _in_value(self, field: str, column: Column, value: Any) -> Iterator[FieldError]:
        if _fits(value, self._types[column.name]):
            return
        has_no_zone = column.kind == "timestamp" and _fits(value, datetime)
        reason = "has no zone: " if has_no_zone else ""
        yield FieldError(field, f"{reason}must be {in_words(column)}", value, for_program(column))


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True

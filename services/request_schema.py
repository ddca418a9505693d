"""What a request must look like, made from a model's contract; a good one becomes relation `request`.

One typed decode for good requests; what is wrong with a bad one is found out elsewhere.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import GenericAlias
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from ml.feature_definition import Column
from services.columns import STORED, YEARS, decoded_type, for_program, in_words
from services.diagnosis import Diagnosis
from services.problems import FieldError, Kind, RequestRefused


class RequestSchema:
    """Decodes and checks bodies for one contract's request columns."""

    def __init__(self, columns: Sequence[Column], max_instances: int) -> None:
        self.columns = tuple(columns)
        self.max_instances = max_instances
        types = {column.name: decoded_type(column) for column in columns}
        fields = [
            (c.name, types[c.name]) if c.is_required else (c.name, types[c.name], None) for c in columns
        ]
        instance = msgspec.defstruct("Instance", fields, kw_only=True, forbid_unknown_fields=True)
        length = msgspec.Meta(min_length=1, max_length=max_instances)
        instances: Any = Annotated[GenericAlias(list, (instance,)), length]
        body = msgspec.defstruct("Body", [("instances", instances)], forbid_unknown_fields=True)
        self._decoder: Any = msgspec.json.Decoder(body)
        self._diagnosis = Diagnosis(self.columns, types, max_instances)

    def decode(self, body: bytes) -> pa.Table:
        """Relation `request`: the contract's columns, times as naive UTC, and `request_row` from 0.

        Raises RequestRefused with every error found, up to a limit.
        """
        try:
            instances = self._decoder.decode(body).instances
        except msgspec.ValidationError as refusal:
            errors = self._diagnosis.errors(_json(body)) or (FieldError("body", str(refusal)),)
            raise RequestRefused.for_fields(Kind.INVALID, errors) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
            raise _not_json(broken) from None
        self._check_years(instances)
        return self.relation([msgspec.structs.asdict(instance) for instance in instances])

    def relation(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Relation `request` of rows known to be good; times may be aware, or naive UTC."""
        arrays = {
            c.name: pa.array([_naive(row.get(c.name)) for row in rows], STORED[c.kind]) for c in self.columns
        }
        return pa.table({"request_row": pa.array(range(len(rows)), pa.int32()), **arrays})

    def _check_years(self, instances: Sequence[Any]) -> None:
        times = [column for column in self.columns if column.kind in ("date", "timestamp")]
        errors = tuple(
            FieldError(
                f"instances[{place}].{column.name}",
                f"must be {in_words(column)}, in the years {YEARS[0]} to {YEARS[1]}",
                value.isoformat(),
                for_program(column),
            )
            for place, instance in enumerate(instances)
            for column in times
            if (value := getattr(instance, column.name)) and not YEARS[0] <= value.year <= YEARS[1]
        )
        if errors:
            raise RequestRefused.for_fields(Kind.INVALID, errors)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise _not_json(broken) from None


def _naive(value: Any) -> Any:
    return (
        value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value
    )


def _not_json(broken: Exception) -> RequestRefused:
    reason = "it is nested too deeply" if isinstance(broken, RecursionError) else str(broken)
    return RequestRefused(Kind.NOT_JSON, f"The body could not be read: {reason}")

"""An instance to show and to test with, from the examples a contract declares.

It is near the newest facts the features know, so that it can be tried as it stands.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ml.feature_definition import Column

_STANDINS = {"integer": 1, "real": 1.0, "boolean": True, "text": "A", "date": "2000-01-01"}
_NOWHEN = datetime(2000, 1, 1, 12, tzinfo=UTC)


def example_instance(columns: Sequence[Column], as_of: datetime | None) -> dict[str, Any]:
    """One instance; its times are the declared ones, all moved by as many days, to the day before `as_of`."""
    times = {column.name: _time(column.example) for column in columns if column.kind == "timestamp"}
    moved = _days_to(min(times.values()), as_of) if times and as_of else timedelta()
    return {
        column.name: times[column.name] + moved if column.kind == "timestamp" else _value(column)
        for column in columns
    }


def _value(column: Column) -> Any:
    if column.example is not None:
        return str(column.example) if column.kind in ("text", "date") else column.example
    if column.kind in ("integer", "real") and column.minimum is not None:
        return column.minimum
    return _STANDINS[column.kind] if column.is_required else None


def _time(example: Any) -> datetime:
    if example is None:
        return _NOWHEN
    at = datetime.fromisoformat(str(example))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _days_to(first: datetime, as_of: datetime) -> timedelta:
    return timedelta(days=(as_of - first) // timedelta(days=1))

"""A small source to land files of: what meters read, once an hour."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import Intake, Source, take_in

DAY = date(2024, 5, 1)
HEADER = "meter,hour,value,state,read_at"
DECLARED: dict[str, Any] = {
    "name": "readings",
    "description": "What meters read. One row per meter and hour.",
    "cadence": "daily",
    "start": date(2024, 1, 1),
    "end": date(2024, 12, 31),
    "format": {"null_values": ["", "NA"]},
    "columns": [
        {"name": "meter", "type": "text"},
        {"name": "clock_hour", "header": "hour", "type": "integer", "minimum": 0, "maximum": 23},
        {"name": "value", "type": "real", "nullable": True, "minimum": -50},
        {"name": "state", "type": "text", "allowed": ["ok", "worn"]},
        {"name": "read_at", "type": "timestamp"},
    ],
    "key": ["meter", "clock_hour"],
    "event_at": "read_at",
    "facts": [{"name": "reading", "columns": ["*"], "known_at": "read_at + interval 10 minutes"}],
    "corrections": {"known_at": "loaded_at"},
    "rules": [
        {"name": "its_hour", "expression": "hour(read_at) = clock_hour", "message": "was read in its hour"}
    ],
    "bad_rows": {"action": "quarantine", "max_share": 0.5},
}


# History replayed: the file says itself when a correction of it was known.
COLUMN_POLICY: dict[str, Any] = {
    "columns": [*DECLARED["columns"], {"name": "noted_at", "type": "timestamp", "nullable": True}],
    "corrections": {"known_at": "coalesce(noted_at, loaded_at)", "columns": ["noted_at"]},
}
_SOURCE = Source.declare(DECLARED)


def declared(**changes: Any) -> Source:
    """The source, with some fields otherwise."""
    return Source.declare(DECLARED | changes) if changes else _SOURCE


def row(hour: int, *, meter: str = "m1", day: date = DAY, value: str = "20.5", state: str = "ok") -> str:
    """One good line of a file."""
    return f"{meter},{hour},{value},{state},{day}T{hour:02}:30:00Z"


def lines(n: int = 8, day: date = DAY, value: str = "20.5") -> list[str]:
    """A header and `n` good lines."""
    return [HEADER, *(row(hour, day=day, value=value) for hour in range(n))]


def put(
    settings: Settings, content: list[str] | bytes, name: str = f"{DAY}.csv", source: str = "readings"
) -> Path:
    """Land a file."""
    path = settings.landing / source / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode())
    return path


def put_days(settings: Settings, n: int, value: str = "20.5") -> list[Path]:
    """Land good files for `n` days."""
    days = [DAY + timedelta(days=i) for i in range(n)]
    return [put(settings, lines(day=day, value=value), f"{day}.csv") for day in days]


def take(settings: Settings, *paths: Path, source: Source | None = None, **options: Any) -> Intake:
    """Take files in."""
    return take_in(Workshop(settings), settings, source or declared(), paths, **options)


@contextmanager
def workshop(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The workshop, open."""
    opened = Workshop(settings)
    with opened.turn(), opened.connect() as con:
        yield con


def ask(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """Rows from the workshop."""
    with workshop(settings) as con:
        return con.execute(sql).fetchall()


def all_raw(settings: Settings, source: str = "readings") -> list[list[tuple[Any, ...]]]:
    """Everything raw holds of a source, in a fixed order."""
    return [
        ask(settings, f"select * from raw.{source} order by all"),
        ask(settings, f"select * from raw.{source}_current order by all"),
        ask(settings, f"select * from raw.files where source = '{source}' order by all"),
        *(
            ask(settings, f"select * from raw.{table} where source = '{source}' order by all")
            for table in ("quarantine", "drift", "fingerprints", "categories")
        ),
    ]

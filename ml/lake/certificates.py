"""Which published rows may be trained on: those whose blocking checks are known to have passed.

Kept beside the editions, day by day. Running checks, and saying which there are, does not belong here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

_METADATA = sa.MetaData()
_PUBLISHED = sa.Table(
    "headwater_certificates",
    _METADATA,
    sa.Column("edition_id", sa.Integer, primary_key=True),
    sa.Column("table_name", sa.String(255), primary_key=True),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("run", sa.String(255)),
    sa.Column("data_version", sa.String(255)),
    sa.Column("required", sa.Text),
    sa.Column("passed", sa.Text),
)
_VERDICTS = sa.Table(
    "headwater_verdicts",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("edition_id", sa.Integer, nullable=False),
    sa.Column("table_name", sa.String(255), nullable=False),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("check_name", sa.String(255), nullable=False),
    sa.Column("is_passed", sa.Boolean, nullable=False),
    sa.Column("run", sa.String(255), nullable=False),
)


@dataclass(frozen=True)
class Certificate:
    """What is known of rows when they are published: the blocking checks declared, and those that passed.

    A required check that did not run yet may be passed later, by a verdict. `data_version` names the rows.
    """

    run: str
    required: tuple[str, ...]
    passed: tuple[str, ...]
    data_version: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a check found, after they were published, of the rows that an edition has for some days."""

    table: str
    check: str
    is_passed: bool
    run: str
    first_day: date = date.min
    last_day: date = date.max


@dataclass(frozen=True)
class Publishing:
    """That rows of a table and some days were published; without certificate by a call that names none."""

    table: str
    first_day: date
    last_day: date
    certificate: Certificate | None


def create_tables(engine: sa.Engine) -> None:
    """Make the tables if they are not there; only one process at a time may do this."""
    _METADATA.create_all(engine)


def add(con: sa.Connection, edition: int, publishings: Iterable[Publishing]) -> None:
    """Record what an edition's publish is known to have passed, in the transaction that makes the edition."""
    rows = []
    for made in publishings:
        known = made.certificate
        rows.append(
            {
                "edition_id": edition,
                "table_name": made.table,
                "first_day": made.first_day,
                "last_day": made.last_day,
                "run": known and known.run,
                "data_version": known and known.data_version,
                "required": known and json.dumps(sorted(known.required)),
                "passed": known and json.dumps(sorted(known.passed)),
            }
        )
    if rows:
        con.execute(_PUBLISHED.insert(), rows)


def add_verdict(con: sa.Connection, edition: int, verdict: Verdict) -> None:
    """Record what a check found of the rows of an edition."""
    con.execute(
        _VERDICTS.insert().values(
            edition_id=edition,
            table_name=verdict.table,
            first_day=verdict.first_day,
            last_day=verdict.last_day,
            check_name=verdict.check,
            is_passed=verdict.is_passed,
            run=verdict.run,
        )
    )


def failed(con: sa.Connection, check: str) -> set[str]:
    """The tables that a check failed for some days, and has not passed for all days since."""
    found: set[str] = set()
    said = con.execute(
        sa.select(_VERDICTS).where(_VERDICTS.c.check_name == check).order_by(_VERDICTS.c.id)
    ).mappings()
    for row in said:
        if not row["is_passed"]:
            found.add(row["table_name"])
        elif (row["first_day"], row["last_day"]) == (date.min, date.max):
            found.discard(row["table_name"])
    return found


def uncertified(con: sa.Connection, edition: int, table: str, days: Iterable[date]) -> dict[date, str]:
    """Those of the days whose rows in the edition are not known to have passed, with the reason."""
    if not sa.inspect(con).has_table(_PUBLISHED.name):
        return dict.fromkeys(days, "they were published before certificates were kept")
    query = sa.select(_PUBLISHED).where(_PUBLISHED.c.table_name == table)
    published = con.execute(query.order_by(_PUBLISHED.c.edition_id.desc())).mappings().all()
    asked = sa.select(_VERDICTS).where(_VERDICTS.c.table_name == table).order_by(_VERDICTS.c.id)
    verdicts = con.execute(asked).mappings().all()
    found = {}
    for day in days:
        why = _why([row for row in published if _is_of(row, day)], verdicts, edition, day)
        if why:
            found[day] = why
    return found


def _why(covering: Sequence[Any], verdicts: Sequence[Any], edition: int, day: date) -> str | None:
    """Why a day is not certified; `covering` are the publishes of that day, newest first."""
    made = next((row for row in covering if row["edition_id"] <= edition), None)
    if made is None:
        return "they were published before certificates were kept"
    if made["required"] is None:
        return f"edition {made['edition_id']} was published by a call that names no checks"
    later = min(
        (row["edition_id"] for row in covering if row["edition_id"] > made["edition_id"]), default=None
    )
    said: dict[str, Mapping[str, Any]] = {
        row["check_name"]: row
        for row in verdicts
        if _is_of(row, day)
        and row["edition_id"] >= made["edition_id"]
        and (later is None or row["edition_id"] < later)
    }
    for name, row in said.items():
        if not row["is_passed"]:
            return f"the check {name!r} failed in run {row['run']}"
    missing = set(json.loads(made["required"])) - set(json.loads(made["passed"])) - set(said)
    if missing:
        return f"the check {min(missing)!r} did not pass in run {made['run']}"
    return None


def _is_of(row: Any, day: date) -> bool:
    return bool(row["first_day"] <= day <= row["last_day"])

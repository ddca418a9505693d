"""Which published rows may be trained on: those whose blocking checks are known to have passed.

Kept beside the editions, day by day. Running checks does not belong here; by what code rows were made is
`codes`'.
"""

import json
from bisect import bisect_left, bisect_right
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

    A required check that did not run yet may be passed later, by a verdict. `data_version` names the rows;
    `code` the SQL of the table and of all that it is made from, empty when not all of it made them.
    """

    run: str
    required: tuple[str, ...]
    passed: tuple[str, ...]
    data_version: str = ""
    code: str = ""


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
    asked = sorted(days)
    made = publishes(con, edition, table, asked)
    query = sa.select(_VERDICTS).where(_VERDICTS.c.table_name == table).order_by(_VERDICTS.c.id)
    said = by_day(con.execute(query).mappings().all(), asked) if made else {}
    return {day: why for day in asked if (why := _why(made.get(day), said.get(day, ())))}


@dataclass(frozen=True)
class Publish:
    """The publish that gave an edition its rows of a day; `before` is the edition that replaced them."""

    row: Mapping[str, Any]
    before: int | None

    def has(self, edition: int) -> bool:
        """Whether an edition has these rows."""
        return bool(self.row["edition_id"] <= edition and (self.before is None or edition < self.before))


def publishes(con: sa.Connection, edition: int, table: str, days: Sequence[date]) -> dict[date, Publish]:
    """By day, in order, where its rows in an edition come from, as far as that is known."""
    if not sa.inspect(con).has_table(_PUBLISHED.name):
        return {}
    query = sa.select(_PUBLISHED).where(_PUBLISHED.c.table_name == table).order_by(_PUBLISHED.c.edition_id)
    found = {}
    for day, rows in by_day(con.execute(query).mappings().all(), days).items():
        made = [row for row in rows if row["edition_id"] <= edition]
        if made:
            found[day] = Publish(made[-1], next((row["edition_id"] for row in rows[len(made) :]), None))
    return found


def by_day(rows: Iterable[Any], days: Sequence[date]) -> dict[date, list[Any]]:
    """The rows (of `first_day` to `last_day`, both included) that are of each of the days, given in order."""
    found: dict[date, list[Any]] = {day: [] for day in days}
    for row in rows:
        for day in days[bisect_left(days, row["first_day"]) : bisect_right(days, row["last_day"])]:
            found[day].append(row)
    return found


def _why(made: Publish | None, verdicts: Iterable[Any]) -> str | None:
    """Why a day is not certified."""
    if made is None:
        return "they were published before certificates were kept"
    if made.row["required"] is None:
        return f"edition {made.row['edition_id']} was published by a call that names no checks"
    said = {row["check_name"]: row for row in verdicts if made.has(row["edition_id"])}
    for name, row in said.items():
        if not row["is_passed"]:
            return f"the check {name!r} failed in run {row['run']}"
    missing = set(json.loads(made.row["required"])) - set(json.loads(made.row["passed"])) - set(said)
    if missing:
        return f"the check {min(missing)!r} did not pass in run {made.row['run']}"
    return None

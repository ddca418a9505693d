"""By which code published rows were made: that of a table and of all it is made from, by one digest.

Rows that another code makes just so are of both. What a digest is of, and when rows are the same, is others'
matter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from ml.lake.certificates import Publishing, by_day, publishes

_METADATA = sa.MetaData()
_CODES = sa.Table(
    "headwater_codes",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("edition_id", sa.Integer, nullable=False),
    sa.Column("table_name", sa.String(255), nullable=False),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("code", sa.String(255), nullable=False),
    sa.Column("is_whole", sa.Boolean, nullable=False),
)


@dataclass(frozen=True)
class Renewal:
    """That all rows which a table has by now, those of `days`, are what a code makes; None: of ever."""

    table: str
    code: str
    days: tuple[tuple[date, date], ...] = ((date.min, date.max),)


def create_tables(engine: sa.Engine) -> None:
    """Make the table if it is not there; only one process at a time may do this."""
    _METADATA.create_all(engine)


def add(con: sa.Connection, edition: int, publishings: Iterable[Publishing]) -> None:
    """Record the codes that certificates name, in the transaction that makes the edition.

    From rows of no code on, a table is not whole of any.
    """
    for made in publishings:
        code = made.certificate.code if made.certificate else ""
        renewal = Renewal(made.table, code, ((made.first_day, made.last_day),))
        _insert(con, edition, renewal, is_whole=not code)


def renew(con: sa.Connection, edition: int, renewal: Renewal) -> None:
    """Record that rows of an edition are what a code makes, whatever made them."""
    _insert(con, edition, renewal, is_whole=True)


def whole(con: sa.Connection) -> dict[str, str]:
    """By table, the code of all its rows; empty where they are of several, or of none that is known."""
    if not sa.inspect(con).has_table(_CODES.name):
        return {}
    query = sa.select(_CODES.c.table_name, _CODES.c.code).where(_CODES.c.is_whole).order_by(_CODES.c.id)
    return {row.table_name: row.code for row in con.execute(query)}


def otherwise(
    con: sa.Connection, edition: int, table: str, days: Iterable[date], code: str | None = None
) -> list[date]:
    """Those of the days whose rows in an edition are not known to be made by a code.

    Without one: by the newest of those that any of the days was made by, unless one is that of all of them.
    """
    asked = sorted(days)
    if not sa.inspect(con).has_table(_CODES.name):
        return asked
    query = sa.select(_CODES).where(_CODES.c.table_name == table).order_by(_CODES.c.id)
    known = by_day(con.execute(query).mappings().all(), asked)
    made = publishes(con, edition, table, asked)
    of = {
        day: {row["code"] for row in known[day] if day in made and made[day].has(row["edition_id"])} - {""}
        for day in asked
    }
    wanted = code or _shared(list(of.values())) or _newest(con, table)
    return [day for day in asked if wanted not in of[day]]


def _shared(codes: Sequence[set[str]]) -> str | None:
    shared = codes[0].intersection(*codes[1:]) if codes else set()
    return min(shared, default=None)


def _newest(con: sa.Connection, table: str) -> str | None:
    of = (_CODES.c.table_name == table, _CODES.c.code != "")
    query = sa.select(_CODES.c.code).where(*of).order_by(_CODES.c.id.desc())
    return con.execute(query.limit(1)).scalar()


def _insert(con: sa.Connection, edition: int, renewal: Renewal, *, is_whole: bool) -> None:
    of = {"edition_id": edition, "table_name": renewal.table, "code": renewal.code, "is_whole": is_whole}
    con.execute(
        _CODES.insert(), [of | {"first_day": first, "last_day": last} for first, last in renewal.days]
    )

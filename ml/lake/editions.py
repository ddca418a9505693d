"""Editions: which snapshot of each published table belongs together, in the catalog's database.

The tables' rows and files do not belong here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from ml.errors import NothingPublished, UnknownTag
from ml.lake import certificates, codes
from ml.lake.certificates import Publishing, Verdict
from ml.lake.codes import Renewal

_METADATA = sa.MetaData()
_EDITIONS = sa.Table(
    "headwater_editions",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime, nullable=False),
    sqlite_autoincrement=True,  # the number of a forgotten edition never comes back
)
_SNAPSHOTS = sa.Table(
    "headwater_edition_snapshots",
    _METADATA,
    sa.Column("edition_id", sa.Integer, primary_key=True),
    sa.Column("table_name", sa.String(255), primary_key=True),
    sa.Column("snapshot_id", sa.BigInteger, nullable=False),
)
_TAGS = sa.Table(
    "headwater_edition_tags",
    _METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("edition_id", sa.Integer, nullable=False),
)


@dataclass(frozen=True)
class Edition:
    """One snapshot id of every published table, and when they were published together (UTC, naive)."""

    id: int
    at: datetime
    snapshots: Mapping[str, int]


def database_url(url: str) -> sa.URL:
    """The SQLAlchemy URL; on SQLite one that waits for others' short writes instead of failing after 5 s."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and "timeout" not in parsed.query:
        return parsed.update_query_dict({"timeout": "60"})
    return parsed


class Editions:
    """The list of editions; it grows by one with every publish."""

    def __init__(self, catalog_url: str) -> None:
        self._url = database_url(catalog_url)
        # Connections are not kept: opening a SQLite file is cheap, and a forked process must not share one.
        self._engine = sa.create_engine(self._url, poolclass=sa.NullPool if self._file else None)

    def create_tables(self) -> None:
        """Make the tables if they are not there; only one process at a time may do this."""
        if self._file and not self._file.exists():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._engine.connect() as con:
                con.exec_driver_sql("pragma journal_mode = wal")  # who reads never waits for who writes
        _METADATA.create_all(self._engine)
        certificates.create_tables(self._engine)
        codes.create_tables(self._engine)

    def get(self, number: int | None = None) -> Edition:
        """The edition of that number, or the newest. Raises NothingPublished."""
        newest = sa.select(sa.func.max(_EDITIONS.c.id)).scalar_subquery()
        found = self._select(_EDITIONS.c.id == (newest if number is None else number))
        if not found:
            raise NothingPublished(self._url.render_as_string(), number)
        return found[0]

    def add(self, snapshots: Mapping[str, int], made: Iterable[Publishing] = ()) -> Edition:
        """Record an edition and what is known of the rows published for it, in one transaction."""
        at = datetime.now(UTC).replace(tzinfo=None)
        with self._engine.begin() as con:
            number: int = con.execute(_EDITIONS.insert().values(at=at).returning(_EDITIONS.c.id)).scalar_one()
            rows = [
                {"edition_id": number, "table_name": name, "snapshot_id": snapshot}
                for name, snapshot in sorted(snapshots.items())
            ]
            if rows:
                con.execute(_SNAPSHOTS.insert(), rows)
            made = list(made)
            certificates.add(con, number, made)
            codes.add(con, number, made)
        return Edition(number, at, MappingProxyType(dict(snapshots)))

    def forget(self, keep_editions: int, pinned: frozenset[int] = frozenset()) -> list[Edition]:
        """Drop all editions but the newest, the pinned and the tagged; gives those left."""
        editions = self._select(sa.true())
        with self._engine.begin() as con:
            tagged: set[int] = set(con.execute(sa.select(_TAGS.c.edition_id)).scalars())
            safe = pinned | tagged | {edition.id for edition in editions[-max(keep_editions, 1) :]}
            kept = [edition for edition in editions if edition.id in safe]
            gone = [edition.id for edition in editions if edition.id not in safe]
            con.execute(_SNAPSHOTS.delete().where(_SNAPSHOTS.c.edition_id.in_(gone)))
            con.execute(_EDITIONS.delete().where(_EDITIONS.c.id.in_(gone)))
        return kept

    def judge(self, number: int, verdict: Verdict) -> None:
        """Record what a check found of the rows of an edition."""
        with self._engine.begin() as con:
            certificates.add_verdict(con, number, verdict)

    def failed(self, check: str) -> set[str]:
        """Tables that a check found wrong, and not right since."""
        with self._engine.connect() as con:
            return certificates.failed(con, check)

    def uncertified(self, number: int, table: str, days: Iterable[date]) -> dict[date, str]:
        """Days whose rows in an edition are not known to have passed their checks, with the reason."""
        with self._engine.connect() as con:
            return certificates.uncertified(con, number, table, days)

    def renew(self, number: int, renewal: Renewal) -> None:
        """Record that all rows which a table has are what a code makes."""
        with self._engine.begin() as con:
            codes.renew(con, number, renewal)

    def codes(self) -> dict[str, str]:
        """By table, the code that last was that of all its rows."""
        if self._file and not self._file.exists():
            return {}
        with self._engine.connect() as con:
            return codes.whole(con)

    def coded_otherwise(self, number: int, table: str, days: Iterable[date], code: str | None) -> list[date]:
        """Days whose rows in an edition are not known to be made by a code, or by one and the same."""
        with self._engine.connect() as con:
            return codes.otherwise(con, number, table, days, code)

    def tag(self, number: int, name: str) -> None:
        """Name an edition; a name is moved when it is given again."""
        with self._engine.begin() as con:
            con.execute(_TAGS.delete().where(_TAGS.c.name == name))
            con.execute(_TAGS.insert().values(name=name, edition_id=number))

    def tagged(self, name: str) -> int:
        """The number of the edition with that tag. Raises UnknownTag."""
        with self._engine.connect() as con:
            tags: dict[str, int] = {row.name: row.edition_id for row in con.execute(sa.select(_TAGS))}
        if name not in tags:
            raise UnknownTag(name, tags)
        return tags[name]

    def untag(self, name: str) -> None:
        """Take a tag away."""
        with self._engine.begin() as con:
            con.execute(_TAGS.delete().where(_TAGS.c.name == name))

    @property
    def _file(self) -> Path | None:
        is_file = self._url.get_backend_name() == "sqlite" and self._url.database
        return Path(str(self._url.database)) if is_file else None

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Edition]:
        if self._file and not self._file.exists():
            return []  # a reader must not make the file: the first publish sets it up
        query = (
            sa.select(_EDITIONS.c.id, _EDITIONS.c.at, _SNAPSHOTS.c.table_name, _SNAPSHOTS.c.snapshot_id)
            .outerjoin(_SNAPSHOTS, _SNAPSHOTS.c.edition_id == _EDITIONS.c.id)
            .where(condition)
            .order_by(_EDITIONS.c.id)
        )
        try:
            with self._engine.connect() as con:
                rows = con.execute(query).all()
        except (sa.exc.OperationalError, sa.exc.ProgrammingError):
            if sa.inspect(self._engine).has_table(_EDITIONS.name):
                raise
            return []
        return [_edition(list(group)) for _, group in groupby(rows, key=lambda row: row.id)]


def snapshots_of(editions: Iterable[Edition], table: str) -> set[int]:
    """The snapshots of a table that editions name."""
    return {edition.snapshots[table] for edition in editions if table in edition.snapshots}


def _edition(rows: Sequence[Any]) -> Edition:
    snapshots = {row.table_name: row.snapshot_id for row in rows if row.table_name is not None}
    return Edition(rows[0].id, rows[0].at, MappingProxyType(snapshots))

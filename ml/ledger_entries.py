"""The ledger's table and what one transaction may do with it: add and look, never change.

Opening a database and keeping writers apart is the ledger's own matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from ml.errors import ChampionChanged, NotRegistered

ENTRIES = sa.Table(
    "ledger",
    sa.MetaData(),
    sa.Column("entry", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("previous", sa.String(64)),
    sa.Column("uri", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("actor", sa.String(200)),
    sa.Column("details", sa.JSON, nullable=False),
    # What may happen only once: `registered:<model>:<version>`, `promoted:<model>:<n>` as the n-th promotion.
    sa.Column("once", sa.String(500), unique=True),
)


@dataclass(frozen=True)
class Entry:
    """One row of the ledger; `at` is UTC, `kind` registered, promoted, refused or loaded.

    `previous` is the champion that a promotion replaced.
    """

    entry: int
    at: datetime
    kind: str
    model: str
    version: str
    previous: str | None
    uri: str | None
    reason: str | None
    actor: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Promotion:
    """The entry that made a version champion, and whether this call wrote it."""

    entry: Entry
    is_new: bool

    @property
    def model(self) -> str:
        """Of which model."""
        return self.entry.model

    @property
    def version(self) -> str:
        """The champion."""
        return self.entry.version

    @property
    def uri(self) -> str | None:
        """Where its bundle is."""
        return self.entry.uri

    @property
    def at(self) -> datetime:
        """Since when, UTC."""
        return self.entry.at

    @property
    def reason(self) -> str | None:
        """What decided."""
        return self.entry.reason


@dataclass(frozen=True)
class Transaction:
    """What can be done inside one transaction; see the methods of Ledger of the same names."""

    connection: sa.Connection

    def create(self) -> None:
        """Make the table unless it is there."""
        self.connection.execute(CreateTable(ENTRIES, if_not_exists=True))

    def register(self, model: str, version: str, uri: str, details: Mapping[str, Any], actor: str) -> Entry:
        """See Ledger.register."""
        return self.add(
            "registered",
            model,
            version,
            uri=uri,
            details=details,
            actor=actor,
            once=f"registered:{model}:{version}",
        )

    def promote(
        self,
        model: str,
        version: str,
        *,
        expected: str | None,
        reason: str,
        details: Mapping[str, Any],
        actor: str,
    ) -> Promotion:
        """See Ledger.promote."""
        registered = self._once(f"registered:{model}:{version}")
        if registered is None:
            raise NotRegistered(model, version)
        current = self.champion(model)
        champion = current.version if current else None
        if current and champion == version:
            return Promotion(current, is_new=False)
        if champion != expected:
            raise ChampionChanged(model, version, expected, champion)
        entry = self._insert(
            "promoted",
            model,
            version,
            previous=champion,
            uri=registered.uri,
            reason=reason,
            details=details,
            actor=actor,
            once=f"promoted:{model}:{1 + self._count(model, 'promoted')}",
        )
        return Promotion(entry, is_new=True)

    def refuse(
        self, model: str, version: str, *, reason: str, details: Mapping[str, Any], actor: str, once: str
    ) -> Entry:
        """See Ledger.refuse."""
        key = f"refused:{model}:{version}:{once}"
        return self.add("refused", model, version, reason=reason, details=details, actor=actor, once=key)

    def add(self, kind: str, model: str, version: str, *, once: str | None = None, **values: Any) -> Entry:
        """Add an entry, or return the one that said the same before."""
        said = self._once(once) if once else None
        return said or self._insert(kind, model, version, once=once, **values)

    def champion(self, model: str) -> Entry | None:
        """See Ledger.champion."""
        return self.last(ENTRIES.c.model == model, ENTRIES.c.kind == "promoted")

    def last(self, *conditions: Any) -> Entry | None:
        """The newest entry that meets the conditions."""
        query = sa.select(ENTRIES).where(*conditions).order_by(ENTRIES.c.entry.desc()).limit(1)
        row = self.connection.execute(query).first()
        return entry_of(row) if row else None

    def _once(self, key: str) -> Entry | None:
        return self.last(ENTRIES.c.once == key)

    def _count(self, model: str, kind: str) -> int:
        query = sa.select(sa.func.count()).where(ENTRIES.c.model == model, ENTRIES.c.kind == kind)
        return int(self.connection.execute(query).scalar_one())

    def _insert(self, kind: str, model: str, version: str, **values: Any) -> Entry:
        at = datetime.now(UTC).replace(tzinfo=None)
        statement = sa.insert(ENTRIES).values(at=at, kind=kind, model=model, version=version, **values)
        added = self.connection.execute(statement).inserted_primary_key
        found = self.last(ENTRIES.c.entry == added[0]) if added else None
        assert found is not None  # noqa: S101 it was inserted two lines above, in this transaction
        return found


def entry_of(row: Any) -> Entry:
    """The entry in a row of the table."""
    values = dict(row._mapping)
    values.pop("once")
    return Entry(**{**values, "at": values["at"].replace(tzinfo=UTC)})

"""Which version was registered, promoted, refused or loaded, when, by whom and why; rows are only ever added.

Whether a version deserves promotion is the gate's matter.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ml.errors import LedgerUnusable
from ml.ledger_entries import ENTRIES, Entry, Promotion, Transaction, entry_of

_BUSY_S = 30
_WRITERS_LOCK = 7_412_306  # any number that is the same in all processes


class Ledger:
    """The ledger at a SQLAlchemy URL, SQLite or PostgreSQL; made when it isn't there yet."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = _sqlite(url) if make_url(url).get_backend_name() == "sqlite" else sa.create_engine(url)
        with self._reading() as connection:
            is_there = sa.inspect(connection).has_table(ENTRIES.name)
        if not is_there:
            with self.transaction() as ledger:
                ledger.create()

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Several acts that happen together or not at all; raises LedgerUnusable when it can't be reached."""
        try:
            with self._engine.begin() as connection:
                _queue_for_writing(connection)
                yield Transaction(connection)
        except sa.exc.OperationalError as trouble:
            raise LedgerUnusable(make_url(self.url).render_as_string(), str(trouble.orig)) from trouble

    def register(self, model: str, version: str, uri: str, details: Mapping[str, Any], actor: str) -> Entry:
        """Note that a version exists at `uri`; a second time it returns the first entry."""
        with self.transaction() as ledger:
            return ledger.register(model, version, uri, details, actor)

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
        """Make a registered version champion in place of `expected` (None: there is none yet).

        Does nothing when it is champion already. Raises NotRegistered, or ChampionChanged when another
        version than `expected` is champion by now.
        """
        with self.transaction() as ledger:
            return ledger.promote(
                model, version, expected=expected, reason=reason, details=details, actor=actor
            )

    def refuse(
        self, model: str, version: str, *, reason: str, details: Mapping[str, Any], actor: str, once: str
    ) -> Entry:
        """Note that a version was not promoted; said again with the same `once`, nothing is added."""
        with self.transaction() as ledger:
            return ledger.refuse(model, version, reason=reason, details=details, actor=actor, once=once)

    def loaded(self, model: str, version: str, *, actor: str, details: Mapping[str, Any]) -> Entry:
        """Note that a server process now answers with the version."""
        with self.transaction() as ledger:
            return ledger.add("loaded", model, version, actor=actor, details=details)

    def champion(self, model: str) -> Promotion | None:
        """The newest promotion, with the version's URI; None before the first."""
        with self._reading() as connection:
            entry = Transaction(connection).champion(model)
        return Promotion(entry, is_new=False) if entry else None

    def champions(self) -> list[Promotion]:
        """The newest promotion of every model, by model name."""
        newest = (
            sa.select(sa.func.max(ENTRIES.c.entry))
            .where(ENTRIES.c.kind == "promoted")
            .group_by(ENTRIES.c.model)
        )
        query = sa.select(ENTRIES).where(ENTRIES.c.entry.in_(newest)).order_by(ENTRIES.c.model)
        with self._reading() as connection:
            return [Promotion(entry_of(row), is_new=False) for row in connection.execute(query)]

    def newest(self, model: str, kind: str = "registered") -> Entry | None:
        """The newest entry of a kind, such as the newest candidate."""
        with self._reading() as connection:
            return Transaction(connection).last(ENTRIES.c.model == model, ENTRIES.c.kind == kind)

    def history(self, model: str) -> tuple[Entry, ...]:
        """All entries of a model, oldest first."""
        query = sa.select(ENTRIES).where(ENTRIES.c.model == model).order_by(ENTRIES.c.entry)
        with self._reading() as connection:
            return tuple(entry_of(row) for row in connection.execute(query))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as trouble:
            raise LedgerUnusable(make_url(self.url).render_as_string(), str(trouble.orig)) from trouble


def _sqlite(url: str) -> sa.Engine:
    file = make_url(url).database
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    # No pool: a connection costs a fraction of a millisecond and none is left open behind the last use.
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S}, poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", _leave_transactions_to_us)
    return engine


def _leave_transactions_to_us(connection: Any, _: Any) -> None:
    connection.isolation_level = None


def _queue_for_writing(connection: sa.Connection) -> None:
    # Writers go one after the other from their first read on: what they read still holds as they write.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS_LOCK)))

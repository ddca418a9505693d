"""Which version was registered, promoted, refused, rolled back or loaded, when, by whom and why.

Rows are only ever added. Whether a version deserves promotion is the gate's matter.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ml.errors import ChampionChanged, LedgerUnusable, NeverChampion, NothingToRollBackTo, NotRegistered
from ml.ledger_entries import ENTRIES, Entry
from ml.ledger_reading import CROWNING, Reading

_BUSY_S = 30
_WRITERS_LOCK = 7_412_306  # any number that is the same in all processes


class Ledger(Reading):
    """The ledger at a SQLAlchemy URL, SQLite or PostgreSQL; made when it isn't there yet.

    It is asked directly, and written to in a transaction.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = _engine(url)
        with self._connected() as connection:
            is_there = sa.inspect(connection).has_table(ENTRIES.name)
        if not is_there:
            with self._connected() as connection, connection.begin():
                _queue_for_writing(connection)
                ENTRIES.create(connection, checkfirst=True)

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Several acts that happen together or not at all; raises LedgerUnusable when it can't be reached."""
        with self._connected() as connection, connection.begin():
            _queue_for_writing(connection)
            yield Transaction(connection)

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._connected() as connection:
            return connection.execute(query).all()

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as trouble:
            raise LedgerUnusable(make_url(self.url).render_as_string(), str(trouble.orig)) from trouble


class Transaction(Reading):
    """What can be written; other writers wait until it ends, so that what is read in it still holds."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def register(self, model: str, version: str, uri: str, details: Mapping[str, Any], actor: str) -> Entry:
        """Note that a version exists at `uri`; a second time it returns the first entry."""
        once = f"registered:{model}:{version}"
        return self.add("registered", model, version, uri=uri, details=details, actor=actor, once=once)

    def promote(
        self,
        model: str,
        version: str,
        *,
        expected: str | None,
        reason: str,
        details: Mapping[str, Any],
        actor: str,
    ) -> Entry:
        """Make a registered version champion in place of `expected` (None: there is none yet).

        Does nothing when it is champion already. Raises NotRegistered, or ChampionChanged when another
        version than `expected` is champion by now.
        """
        uri, current = self._uri(model, version), self.champion(model)
        champion = current.version if current else None
        if current and champion == version:
            return current
        if champion != expected:
            raise ChampionChanged(model, version, expected, champion)
        told: dict[str, Any] = {"reason": reason, "details": details, "actor": actor}
        return self._crown("promoted", model, version, previous=champion, uri=uri, **told)

    def roll_back(
        self, model: str, to: str | None, *, reason: str, details: Mapping[str, Any], actor: str
    ) -> Entry:
        """Make the champion before, or `to` if it ever was one, champion again.

        `to` may be the beginning of a version. The evaluations that promoted what is left behind are noted as
        `withdrawn`. Raises NothingToRollBackTo or NeverChampion.
        """
        line = self.line_of_champions(model)
        version = self._former(model, to, line)
        places = [place for place, one in enumerate(line) if one.version == version]
        left_behind = line[places[-1] + 1 :] if places else line
        withdrawn = [one.details["evaluation"] for one in left_behind if "evaluation" in one.details]
        return self._crown(
            "rolled_back",
            model,
            version,
            previous=line[-1].version,
            uri=self._uri(model, version),
            reason=reason,
            details={**details, "withdrawn": withdrawn},
            actor=actor,
        )

    def refuse(
        self, model: str, version: str, *, reason: str, details: Mapping[str, Any], actor: str, once: str
    ) -> Entry:
        """Note that a version was not promoted; said again with the same `once`, nothing is added."""
        key = f"refused:{model}:{version}:{once}"
        return self.add("refused", model, version, reason=reason, details=details, actor=actor, once=key)

    def add(
        self,
        kind: str,
        model: str,
        version: str,
        *,
        details: Mapping[str, Any],
        actor: str,
        once: str | None = None,
        **values: str | None,
    ) -> Entry:
        """Add an entry, or return the one that said the same `once` before."""
        said = self.said(once) if once else None
        if said:
            return said
        newest = self._last()
        # Clocks of several machines differ: time never runs back from one entry to the next.
        now = max(datetime.now(UTC), newest.at) if newest else datetime.now(UTC)
        written = {"kind": kind, "model": model, "version": version, "actor": actor, "details": dict(details)}
        statement = sa.insert(ENTRIES).values(at=now.replace(tzinfo=None), once=once, **written, **values)
        self._connection.execute(statement)
        added = self._last()
        assert added is not None  # noqa: S101 it was inserted in this transaction, and others wait
        return added

    def said(self, once: str) -> Entry | None:
        """The entry that said this `once`."""
        return self._last(ENTRIES.c.once == once)

    def _crown(self, kind: str, model: str, version: str, **values: Any) -> Entry:
        turn = 1 + len(self.history(model, *CROWNING))
        return self.add(kind, model, version, once=f"champion:{model}:{turn}", **values)

    def _uri(self, model: str, version: str) -> str | None:
        registered = self.said(f"registered:{model}:{version}")
        if registered is None:
            raise NotRegistered(model, version)
        return registered.uri

    def _former(self, model: str, to: str | None, line: list[Entry]) -> str:
        if not line or (to is None and len(line) == 1):
            raise NothingToRollBackTo(model, line[-1].version if line else None)
        if to is None:
            return line[-2].version
        past = dict.fromkeys(entry.version for entry in self.history(model, *CROWNING))
        del past[line[-1].version]
        found = [version for version in past if version.startswith(to)]
        if len(found) != 1:
            raise NeverChampion(model, to, line[-1].version, list(past))
        return found[0]

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        return self._connection.execute(query).all()


def _engine(url: str) -> sa.Engine:
    # No pool: a connection costs few milliseconds and none is left open behind the last use.
    if make_url(url).get_backend_name() != "sqlite":
        return sa.create_engine(url, poolclass=sa.NullPool)
    file = make_url(url).database
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
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

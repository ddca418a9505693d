"""What can be asked of the ledger, now or as of a time, inside a transaction or outside of one.

Nothing is added here.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ml.ledger_entries import ENTRIES, Entry, entry_of

CROWNING = ("promoted", "rolled_back")
"""Kinds of entries that make a version champion."""


class Reading(ABC):
    """Questions to the ledger; `at` asks for what held then, UTC, the entries of that very instant included.

    All raise LedgerUnusable when the database can't be reached.
    """

    @abstractmethod
    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """The rows that a query gives."""

    def champion(self, model: str, at: datetime | None = None) -> Entry | None:
        """The entry that made the champion champion, with the version's URI; None before the first."""
        return self._last(ENTRIES.c.model == model, ENTRIES.c.kind.in_(CROWNING), *_until(at))

    def champions(self, at: datetime | None = None) -> list[Entry]:
        """The champion of every model that has one, by model name."""
        return self._newest_of_each_model(*CROWNING, at=at)

    def newest(self, model: str, kind: str = "registered") -> Entry | None:
        """The newest entry of a kind, such as the newest candidate."""
        return self._last(ENTRIES.c.model == model, ENTRIES.c.kind == kind)

    def history(self, model: str | None = None, *kinds: str, at: datetime | None = None) -> tuple[Entry, ...]:
        """All entries, of a model and of some kinds where these are given, oldest first."""
        conditions = [*_until(at)]
        conditions += [ENTRIES.c.model == model] if model else []
        conditions += [ENTRIES.c.kind.in_(kinds)] if kinds else []
        query = sa.select(ENTRIES).where(*conditions).order_by(ENTRIES.c.entry)
        return tuple(entry_of(row) for row in self._rows(query))

    def models(self) -> list[str]:
        """The models that the ledger knows, by name."""
        query = sa.select(ENTRIES.c.model).distinct().order_by(ENTRIES.c.model)
        return [row[0] for row in self._rows(query)]

    def line_of_champions(self, model: str) -> list[Entry]:
        """The champions that stand one upon the other, the present one last: what was rolled back is gone."""
        line: list[Entry] = []
        for entry in self.history(model, *CROWNING):
            versions = [one.version for one in line]
            if entry.kind == "rolled_back" and entry.version in versions:
                del line[len(versions) - versions[::-1].index(entry.version) :]
            else:
                line.append(entry)
        return line

    def serving(self, model: str | None = None, at: datetime | None = None) -> list[Entry]:
        """What each server process had loaded: the newest `loaded` of each that had not said it stopped.

        A process that was killed says nothing; it counts until one of the same host, port and worker loads.
        """
        newest: dict[tuple[Any, ...], Entry] = {}
        for entry in self.history(model, "loaded", "stopped", at=at):
            newest[entry.model, entry.actor, server_of(entry)] = entry
        return sorted((one for one in newest.values() if one.kind == "loaded"), key=lambda one: one.entry)

    def _newest_of_each_model(self, *kinds: str, at: datetime | None) -> list[Entry]:
        newest = (
            sa.select(sa.func.max(ENTRIES.c.entry))
            .where(ENTRIES.c.kind.in_(kinds), *_until(at))
            .group_by(ENTRIES.c.model)
        )
        query = sa.select(ENTRIES).where(ENTRIES.c.entry.in_(newest)).order_by(ENTRIES.c.model)
        return [entry_of(row) for row in self._rows(query)]

    def _last(self, *conditions: Any) -> Entry | None:
        query = sa.select(ENTRIES).where(*conditions).order_by(ENTRIES.c.entry.desc()).limit(1)
        rows = self._rows(query)
        return entry_of(rows[0]) if rows else None


def server_of(entry: Entry) -> str:
    """The server process that a `loaded` or `stopped` entry tells of, as host:port/worker."""
    details = entry.details
    return (
        f"{details.get('host', '?')}:{details.get('port', '?')}/{details.get('worker', details.get('pid'))}"
    )


def _until(at: datetime | None) -> Iterable[Any]:
    return () if at is None else (ENTRIES.c.at <= at.astimezone(UTC).replace(tzinfo=None),)

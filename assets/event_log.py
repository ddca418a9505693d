"""Dagster's SQLite event log, writing the events of a range of partitions in one transaction.

Nothing but storage: which events exist and what they mean is Dagster's. Dagster hands over batches when
DAGSTER_EVENT_BATCH_SIZE is set, but its SQLite storage stores them one by one, in several transactions each:
146 s for 16 assets over 273 days, where this takes 4 s. It also opens a database anew for each statement,
which is most of the 25 ms that an event costs.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate, groupby
from typing import Any

import sqlalchemy as sa
from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData

# Databases kept open at once: the index and those of the newest runs.
_KEPT_OPEN = 4


class BatchedSqliteEventLogStorage(SqliteEventLogStorage):
    """`SqliteEventLogStorage` that keeps databases open and stores a batch by one insert a database."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[tuple[int, str], sa.Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchedSqliteEventLogStorage":
        return cls(inst_data=inst_data, **config_value)

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """A range of days is planned by one event; the index still has a row a day, as if there were many."""
        return True

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        """A transaction on one database; the lock lets one thread in at a time."""
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> sa.Engine:
        """The kept engine of a database, with one connection; a forked process opens its own."""
        key = os.getpid(), shard
        engine = self._engines.get(key)
        if engine is None:
            engine = self._engines[key] = sa.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=sa.StaticPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            sa.event.listen(engine, "connect", _wait_for_no_disk)
        self._engines.move_to_end(key)
        while len(self._engines) > _KEPT_OPEN:
            (pid, _), oldest = self._engines.popitem(last=False)
            oldest.dispose(close=pid == os.getpid())
        return engine

    def dispose(self) -> None:
        """Close the databases, so that a run that ended leaves no journal beside its own."""
        for (pid, _), engine in self._engines.items():
            engine.dispose(close=pid == os.getpid())
        self._engines.clear()
        super().dispose()

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event, an asset's as a batch of one."""
        if _is_asset_event(event):
            self._store_asset_events(event.run_id, [event])
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store asset events together; any other event, such as a planned check, one at a time."""
        for event in events:
            if not _is_asset_event(event):
                super().store_event(event)
        for run_id, of_run in groupby(filter(_is_asset_event, events), lambda event: event.run_id):
            self._store_asset_events(run_id, list(of_run))

    def _store_asset_events(self, run_id: str, events: list[EventLogEntry]) -> None:
        rows = [self._event_to_row(event) for event in events]
        insert = SqlEventLogStorageTable.insert()
        with self.run_connection(run_id) as run_shard:
            run_shard.execute(insert, rows)
        days = [_planned_days(event) or [row["partition"]] for event, row in zip(events, rows, strict=True)]
        by_day = [row | {"partition": day} for row, of_row in zip(rows, days, strict=True) for day in of_row]
        with self.index_transaction() as index:
            index.execute(insert, by_day)  # takes SQLite's write lock: the ids just given are the newest
            newest_id = index.execute(sa.select(sa.func.max(SqlEventLogStorageTable.c.id))).scalar_one()
            ids = [newest_id - len(by_day) + n for n in accumulate(map(len, days))]
            self._store_asset_event_tags(index, events, ids)
            last_of = {event.get_dagster_event().asset_key: at for at, event in enumerate(events)}
            for at in last_of.values():
                self._store_asset_event(index, events[at], ids[at])


def _wait_for_no_disk(connection: Any, _record: Any) -> None:
    """Commits outlive the process at once; only a power failure may take the last ones. 2 ms an event."""
    connection.execute("pragma synchronous = normal")


def _is_asset_event(event: EventLogEntry) -> bool:
    return event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS


def _planned_days(event: EventLogEntry) -> list[str]:
    planned = event.get_dagster_event()
    subset = planned.partitions_subset if planned.is_asset_materialization_planned else None
    return list(subset.get_partition_keys()) if subset else []

"""Dagster's SQLite event log, writing the events of a range of partitions in one transaction.

Nothing but storage: which events exist and what they mean is Dagster's. Dagster hands over batches when
DAGSTER_EVENT_BATCH_SIZE is set, but its SQLite storage stores them one by one, in several transactions each:
146 s for 16 assets over 273 days, where this takes 4 s.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby
from typing import Any

import sqlalchemy as sa
from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData


class BatchedSqliteEventLogStorage(SqliteEventLogStorage):
    """`SqliteEventLogStorage` whose `store_event_batch` is one insert a database, not one an event."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchedSqliteEventLogStorage":
        return cls(inst_data=inst_data, **config_value)

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """A range of days is planned by one event; the index still has a row a day, as if there were many."""
        return True

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


def _is_asset_event(event: EventLogEntry) -> bool:
    return event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS


def _planned_days(event: EventLogEntry) -> list[str]:
    planned = event.get_dagster_event()
    subset = planned.partitions_subset if planned.is_asset_materialization_planned else None
    return list(subset.get_partition_keys()) if subset else []

"""What a table of the dbt project is called and shown as in Dagster.

No building: turning dbt's results into events is `dbt_events`.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from assets.calendar import calendar_of, partitions
from assets.dbt_nodes import Node, is_daily, layer_of, table_meta
from assets.keys import raw_key, source_of, table_key
from ml.calendars import Calendar
from ml.tables import Table


class TableTranslator(DagsterDbtTranslator):
    """Keys from folders, partitions from the `day` column, windows from the declared look-back."""

    def __init__(
        self,
        manifest: Mapping[str, Any],
        owners: tuple[str, ...] = (),
        tables: Mapping[str, Table] | None = None,
        calendars: tuple[Calendar, ...] = (),
    ) -> None:
        super().__init__()
        self._manifest = manifest
        self._owners = owners
        self._tables = tables or {}
        self._calendars = calendars

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        name = dbt_resource_props["name"]
        if dbt_resource_props["resource_type"] == "source":
            return raw_key(source_of(name))
        return table_key(layer_of(dbt_resource_props), name)

    def get_group_name(self, dbt_resource_props: Node) -> str:
        return layer_of(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Node) -> tuple[str, ...]:
        return self._owners

    def get_tags(self, dbt_resource_props: Node) -> Mapping[str, str]:
        return {"layer": layer_of(dbt_resource_props)}

    def get_description(self, dbt_resource_props: Node) -> str:
        return str(dbt_resource_props.get("description") or "")

    def get_code_version(self, dbt_resource_props: Node) -> str | None:
        table = self._tables.get(dbt_resource_props["name"])
        return table.code if table else None

    def get_partitions_def(self, dbt_resource_props: Node) -> dg.PartitionsDefinition | None:
        calendar = calendar_of(dbt_resource_props["name"], self._calendars)
        return partitions(calendar) if calendar else None

    def get_partition_mapping(
        self, dbt_resource_props: Node, dbt_parent_resource_props: Node
    ) -> dg.PartitionMapping | None:
        both_daily = is_daily(dbt_resource_props) and is_daily(dbt_parent_resource_props)
        lookback = self._lookback_into(dbt_parent_resource_props["unique_id"])
        if not both_daily or dbt_resource_props is dbt_parent_resource_props or not lookback:
            return None
        calendar = calendar_of(dbt_resource_props["name"], self._calendars)
        every = calendar.every if calendar else 1
        return dg.TimeWindowPartitionMapping(
            start_offset=-ceil(lookback / every), allow_nonexistent_upstream_partitions=True
        )

    def _lookback_into(self, parent: str) -> int:
        """Days back that the widest reader of a table looks: one step may map a table in one way only."""
        children = (
            self._manifest["nodes"].get(child) for child in self._manifest["child_map"].get(parent, ())
        )
        return max((int(table_meta(child).get("lookback_days", 0)) for child in children if child), default=0)

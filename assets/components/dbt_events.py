"""Runs the tables of one step, publishes what others read, and tells Dagster what came of it.

Which tables there are is the component's; how they are stored is the lake's.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import dagster as dg

from assets.components.column_lineage import column_lineage
from assets.components.dbt_translator import Node, table_meta
from assets.components.leakage_check import leakage_results
from assets.dbt_runner import DbtRunner, NodeResult
from assets.resources import Platform
from ml.computed import Arrival, Computed
from ml.errors import TablesNotBuilt
from ml.lake.published import PublishBatch
from ml.lake.workshop import Workshop
from ml.sources.catalogue import declared_sources

# A table that is made anew as a whole is published as a whole, whatever days its rows have.
_EVER = (date(1900, 1, 1), date(2999, 12, 31))
Events = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


@dataclass(frozen=True)
class BuiltTables:
    """One step: these tables, for these days (ISO dates; None for tables that have no days)."""

    runner: DbtRunner
    platform: Platform
    nodes: tuple[Node, ...]
    first_day: str | None
    last_day: str | None

    def window(self, node: Node) -> tuple[date, date] | None:
        """First and last day that a build of these days writes in a table, reach included."""
        if self.first_day is None or self.last_day is None:
            return None
        reach = timedelta(days=int(table_meta(node).get("reach_days", 0)))
        return date.fromisoformat(self.first_day), date.fromisoformat(self.last_day) + reach


def table_events(
    step: BuiltTables,
    specs: Mapping[str, dg.AssetSpec],
    checks: Mapping[str, dg.AssetCheckSpec],
    selected_checks: Set[dg.AssetCheckKey],
    log_event: Callable[[dg.AssetMaterialization], None],
) -> Events:
    """Build, publish, report; a failed table or blocking test ends the step after everything is reported.

    Raises:
        TablesNotBuilt: a table could not be built, or a blocking test found rows.
    """
    by_id = {node["unique_id"]: node for node in step.nodes}
    with step.platform.workshop().turn() as turn:
        days = {"first_day": step.first_day or "", "last_day": step.last_day or ""}
        results = list(step.runner.build(list(_names(step)), **days, anew=_is_everything(turn, step)))
        if step.first_day and all(result.is_good for result in results):
            results += leakage_results(step.runner, list(by_id), step.first_day, step.last_day or "")
        failed = [result for result in results if not result.is_good]
        built = {r.unique_id: by_id[r.unique_id] for r in results if r.is_good and r.unique_id in by_id}
        with turn.connect() as connection:
            facts = {id_: _facts(connection, node, step) for id_, node in built.items()}
            edition = {} if failed else _publish(connection, built, step)
    for result in results:
        if result.unique_id in built:
            shown, spec = facts[result.unique_id] | edition, specs[result.unique_id]
            lineage = _with_lineage(built[result.unique_id], spec, shown, step)
            yield _materialized(result, spec, shown)
            if lineage:
                log_event(lineage)
        elif result.unique_id in checks and checks[result.unique_id].key in selected_checks:
            yield _checked(result, checks[result.unique_id])
    if failed:
        raise TablesNotBuilt(command="build", cause="; ".join(_why(result) for result in failed))


def _is_everything(turn: Workshop, step: BuiltTables) -> bool:
    """Whether the step's days are all that raw has, so that its tables can be made anew."""
    with turn.connect() as connection:
        first, last = connection.execute("select min(day), max(day) from raw.files").fetchone()
    return bool(step.first_day and first and step.first_day <= str(first) and str(last) <= str(step.last_day))


def _names(step: BuiltTables) -> Iterator[str]:
    yield from (node["name"] for node in step.nodes)


def _where(node: Node, step: BuiltTables) -> str:
    window = step.window(node)
    return f"where day between date '{window[0]}' and date '{window[1]}'" if window else ""


def _facts(connection: Any, node: Node, step: BuiltTables) -> dict[str, Any]:
    relation = node["relation_name"]
    total, written = connection.execute(
        f"select (select count(*) from {relation}), (select count(*) from {relation} {_where(node, step)})"
    ).fetchone()
    return {"dagster/row_count": total, "dagster/partition_row_count": written}


def _publish(connection: Any, built: Mapping[str, Node], step: BuiltTables) -> dict[str, Any]:
    batches = {}
    for node in built.values():
        meta, window = table_meta(node), step.window(node)
        if not meta.get("publish"):
            continue
        rows = connection.execute(
            f"select * from {node['relation_name']} {_where(node, step)}"
        ).to_arrow_table()
        first, last = window or _EVER
        batches[node["name"]] = PublishBatch(
            rows, first_day=first, last_day=last, keep_days=meta.get("keep_days")
        )
    if not batches:
        return {}
    edition = step.platform.published().publish(batches).id
    if step.first_day is not None:
        Computed(step.platform.settings).record(_files(connection, step), edition, step.runner.code())
    return {"edition": edition}


def _files(connection: Any, step: BuiltTables) -> Iterator[Arrival]:
    """The files that the rows of these days came from, and the reference files beside them."""
    newest = connection.execute(
        "select source, day, arg_max(source_file_id, loaded_at) from raw.files "
        "where day is null or day between $first and $last group by all",
        {"first": step.first_day, "last": step.last_day},
    ).fetchall()
    yield from (Arrival(source, day, sha256) for source, day, sha256 in newest)


def _materialized(result: NodeResult, spec: dg.AssetSpec, facts: Mapping[str, Any]) -> dg.MaterializeResult:
    return dg.MaterializeResult(asset_key=spec.key, metadata={"seconds": round(result.seconds, 3), **facts})


def _with_lineage(
    node: Node, spec: dg.AssetSpec, facts: dict[str, Any], step: BuiltTables
) -> dg.AssetMaterialization | None:
    """Column lineage: among the facts of a day's event; for a range once, as an event of its last day.

    Dagster repeats a range's metadata for each day, which would be 100 MB of lineage for nine months.
    """
    if node["resource_type"] != "model":
        return None
    lineage = {"dagster/column_lineage": _lineage(node, spec, step)}
    if step.first_day == step.last_day:
        facts |= lineage
        return None
    return dg.AssetMaterialization(spec.key, partition=step.last_day, metadata={**facts, **lineage})


def _lineage(node: Node, spec: dg.AssetSpec, step: BuiltTables) -> dg.TableColumnLineage:
    manifest = step.runner.manifest
    raw = {source.name: source.raw_columns() for source in declared_sources(step.platform.settings.project)}
    parents = {}
    keys = {dep.asset_key.path[-1]: dep.asset_key for dep in spec.deps}
    for parent_id in node["depends_on"]["nodes"]:
        parent = manifest["sources"].get(parent_id) or manifest["nodes"][parent_id]
        name = parent["name"].removesuffix("_current")
        declared = {name: column.get("data_type") or "text" for name, column in parent["columns"].items()}
        types = declared or raw.get(name)
        if name in keys and types:
            parents[parent["relation_name"].replace('"', "")] = (keys[name], types)
    compiled = (
        step.runner.target / "compiled" / manifest["metadata"]["project_name"] / node["original_file_path"]
    )
    return column_lineage(compiled.read_text(), parents, step.runner.target / "lineage")


def _checked(result: NodeResult, check: dg.AssetCheckSpec) -> dg.AssetCheckResult:
    blocking = result.status in {"fail", "error"}
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=result.status == "pass",
        severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
        metadata={
            "rows_found": result.failures or 0,
            "seconds": round(result.seconds, 3),
            "message": result.message or "passed",
        },
    )


def _why(result: NodeResult) -> str:
    return f"{result.unique_id.split('.')[2]}: {result.message or result.status}"

"""Runs the tables of one step, publishes what others read, and tells Dagster what came of it.

Which tables there are is the component's; how they are stored is the lake's.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import dagster as dg
from dagster_dbt.asset_utils import get_upstream_unique_ids

from assets.calendar import project_calendars
from assets.components.certifying import certificates, renew
from assets.components.column_lineage import column_lineage
from assets.components.leakage_check import leakage_results
from assets.components.sql_check import sql_results
from assets.components.table_builds import StepBuilds
from assets.dbt_nodes import Node, is_daily, table_meta
from assets.dbt_runner import DbtRunner, NodeResult
from assets.keys import source_of
from assets.resources import Platform
from assets.table_code import project_code
from ml.calendars import Calendar
from ml.computed import Arrival, Computed
from ml.data_version import row_versions
from ml.errors import TablesNotBuilt
from ml.lake.published import Certificate, PublishBatch
from ml.lake.workshop import Workshop
from ml.sources import take_in
from ml.sources.catalogue import declared_sources
from ml.tables import ancestors

# A table that is made anew as a whole is published as a whole, whatever days its rows have.
_EVER = (date(1900, 1, 1), date(2999, 12, 31))
Events = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


@dataclass(frozen=True)
class BuiltTables:
    """One step: these tables, for these days (ISO dates; None for tables that have no days).

    With `only_stale` those of them that are as they should be are left alone.
    """

    runner: DbtRunner
    platform: Platform
    nodes: tuple[Node, ...]
    first_day: str | None
    last_day: str | None
    run: str
    calendar: Calendar | None = None
    only_stale: bool = False

    def window(self, node: Node) -> tuple[date, date] | None:
        """First and last day that a build of these days writes in a table, reach included."""
        if self.first_day is None or self.last_day is None:
            return None
        reach = timedelta(days=int(table_meta(node).get("reach_days", 0)))
        return date.fromisoformat(self.first_day), date.fromisoformat(self.last_day) + reach

    def builds(self) -> StepBuilds:
        """What is known of how its tables were built, and what comes of this step."""
        first, last = (day and date.fromisoformat(day) for day in (self.first_day, self.last_day))
        computed = Computed(self.platform.settings)
        return StepBuilds(
            project_code(self.runner), computed, self.run, first or None, last or None, self.calendar
        )


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
        UncertifiedInputs: a table reads rows that failed their checks in an earlier run.
    """
    by_id = {node["unique_id"]: node for node in step.nodes}
    with step.platform.workshop().turn() as turn:
        builds = step.builds()
        results = list(_build(turn, step, builds))
        if all(result.is_good for result in results):
            results += sql_results(step.runner, [r.unique_id for r in results if r.unique_id in by_id])
        if step.calendar and all(result.is_good for result in results):
            results += _audited(step, list(by_id))
        failed = [result for result in results if not result.is_good]
        if failed:
            builds.fail([_why(result) for result in failed])
        good = {r.unique_id: r for r in results if r.is_good and r.unique_id in by_id}
        built = {id_: by_id[id_] for id_ in good}
        left = {id_: node for id_, node in by_id.items() if not failed and id_ not in built}
        with turn.connect() as connection:
            facts = {id_: _facts(connection, node, step) for id_, node in (built | left).items()}
            keys = {node["name"]: specs[id_].key for id_, node in built.items()}
            certified = certificates(step.platform.published(), builds, keys, checks, results)
            edition = {} if failed else _publish(connection, built, step, builds, certified)
        if not failed:
            builds.commit(r.unique_id for r in results if r.unique_id.startswith("unit_test."))
    for unique_id in _upstream_first(built | left, builds):
        shown, spec = facts[unique_id], specs[unique_id]
        if unique_id in left:
            yield _materialized(left[unique_id], spec, shown, builds, None)
            continue
        shown |= edition
        code = builds.code.tables[built[unique_id]["name"]].code
        lineage = _with_lineage(built[unique_id], spec, shown, step, code)
        yield _materialized(built[unique_id], spec, shown, builds, good[unique_id].seconds)
        if lineage:
            log_event(lineage)
    for result in results:
        if _is_selected(result, checks, selected_checks):
            yield _checked(result, checks[result.unique_id])
    if failed:
        raise TablesNotBuilt(command="build", cause="; ".join(_why(result) for result in failed))


def _audited(step: BuiltTables, built: list[str]) -> Iterator[NodeResult]:
    assert step.calendar and step.first_day and step.last_day  # noqa: S101  only tables by day are audited
    return leakage_results(step.runner, built, step.calendar, step.first_day, step.last_day)


def _upstream_first(nodes: Mapping[str, Node], builds: StepBuilds) -> list[str]:
    tables = builds.code.tables
    return sorted(nodes, key=lambda id_: len(ancestors(tables, nodes[id_]["name"])))


def _build(turn: Workshop, step: BuiltTables, builds: StepBuilds) -> Iterator[NodeResult]:
    """Build wave by wave until every table is as it should be, or one fails."""
    nodes = {node["name"]: node for node in step.nodes}
    days = {"first_day": step.first_day or "", "last_day": step.last_day or ""}
    _make_raw_of_predictions(turn, step)
    with turn.connect() as connection:
        builds.see_raw(_files(connection))
    pending = set(nodes)
    while wave := builds.next_wave(pending, only_stale=step.only_stale):
        pending -= wave
        with turn.connect() as connection:
            anew = all(_has_no_other_days(connection, nodes[name], step) for name in wave)
        builds.begin(wave)
        tests = builds.unit_tests(wave)
        results = list(step.runner.build(sorted(wave), **days, anew=anew, unit_tests=tests))
        yield from results
        failed = [_why(result) for result in results if not result.is_good]
        if failed:
            builds.fail(failed)
            return
        with turn.connect() as connection:
            for name in wave:
                relation, written = nodes[name]["relation_name"], builds.window(name)
                if strays := _strays(connection, nodes[name], step, written):
                    builds.fail([strays])
                    raise TablesNotBuilt(command="build", cause=strays)
                versions = row_versions(connection, relation, written, is_daily=is_daily(nodes[name]))
                builds.built(name, versions)


def _make_raw_of_predictions(turn: Workshop, step: BuiltTables) -> None:
    """No file of theirs may ever have landed, and tables read them all the same."""
    settings = step.platform.settings
    for source in declared_sources(settings.project):
        if source.predictions_of and step.calendar and source.name in step.calendar.sources:
            take_in(turn, settings, source, [])


def _strays(connection: Any, node: Node, step: BuiltTables, written: Sequence[date | None]) -> str:
    """What is wrong with a table that has rows of days which its calendar does not have; "" if it hasn't."""
    if not step.calendar or step.calendar.every == 1:
        return ""
    days = f"select distinct day from {node['relation_name']} {_where(node, step)} order by day"
    other = sorted({day for (day,) in connection.execute(days).fetchall()} - set(written))
    if not other:
        return ""
    return (
        f"{node['name']}: it has rows of {other[0]}, but its sources come every {step.calendar.every} days: "
        f"`day` is the first of them, as {written[0]}"
    )


def _has_no_other_days(connection: Any, node: Node, step: BuiltTables) -> bool:
    """Whether a table has no rows but of the step's days, so that it can be made anew."""
    if not step.first_day or node["config"]["materialized"] != "incremental":
        return True
    place = {"schema": node["schema"], "name": node["alias"]}
    is_there = "select 1 from duckdb_tables() where schema_name = $schema and table_name = $name"
    if not connection.execute(is_there, place).fetchone():
        return True
    others = _where(node, step).replace("where day", "where day not", 1)
    return not connection.execute(f"select 1 from {node['relation_name']} {others} limit 1").fetchone()


def _where(node: Node, step: BuiltTables) -> str:
    window = step.window(node)
    return f"where day between date '{window[0]}' and date '{window[1]}'" if window else ""


def _facts(connection: Any, node: Node, step: BuiltTables) -> dict[str, Any]:
    relation = node["relation_name"]
    total, written = connection.execute(
        f"select (select count(*) from {relation}), (select count(*) from {relation} {_where(node, step)})"
    ).fetchone()
    return {"dagster/row_count": total, "dagster/partition_row_count": written}


def _publish(
    connection: Any,
    built: Mapping[str, Node],
    step: BuiltTables,
    builds: StepBuilds,
    certified: Mapping[str, Certificate],
) -> dict[str, Any]:
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
            rows,
            first_day=first,
            last_day=last,
            keep_days=meta.get("keep_days"),
            certificate=certified[node["name"]],
        )
    published = step.platform.published()
    edition = published.publish(batches).id if batches else None
    if step.calendar and builds.is_whole:
        files = [
            file
            for file in _files(connection, step.first_day, step.last_day)
            if file.source in step.calendar.all_sources
        ]
        builds.computed.record(files, edition or published.edition().id)
    renew(published, builds, project_calendars(step.runner))
    return {"edition": edition, **_since_landing(step)} if edition else {}


def _since_landing(step: BuiltTables) -> dict[str, float]:
    """Seconds from when the newest file of the last day lay there until others can read what it led to."""
    if step.calendar is None or step.last_day is None:
        return {}
    folders = [step.platform.settings.landing / source for source in step.calendar.sources]
    landed = [file.stat().st_mtime for folder in folders for file in folder.glob(f"{step.last_day}.*")]
    return {"landed_to_published_s": round(time.time() - max(landed), 1)} if landed else {}


def _files(connection: Any, first: str | None = None, last: str | None = None) -> Iterator[Arrival]:
    """The files that raw's newest rows came from, of some days or of all, and the reference files."""
    newest = connection.execute(
        "select source, day, arg_max(source_file_id, loaded_at) from raw.files "
        "where day is null or $first is null or day between $first::date and $last::date group by all",
        {"first": first, "last": last},
    ).fetchall()
    yield from (Arrival(source, day, sha256) for source, day, sha256 in newest)


def _materialized(
    node: Node, spec: dg.AssetSpec, facts: Mapping[str, Any], builds: StepBuilds, seconds: float | None
) -> dg.MaterializeResult:
    """What a table is now; without `seconds` it was left as it was."""
    name = node["name"]
    why = {"recomputed": builds.reasons[name], "seconds": round(seconds, 3)} if seconds is not None else {}
    return dg.MaterializeResult(
        asset_key=spec.key,
        data_version=dg.DataVersion(builds.version(name)),
        metadata={"recomputed": "no: nothing it is made from changed", **why, **facts},
    )


def _with_lineage(
    node: Node, spec: dg.AssetSpec, facts: dict[str, Any], step: BuiltTables, code: str
) -> dg.AssetMaterialization | None:
    """Column lineage: among the facts of a day's event; for a range once, as an event of its last day.

    Dagster repeats a range's metadata for each day, which would be 100 MB of lineage for nine months.
    """
    if node["resource_type"] != "model":
        return None
    lineage = {"dagster/column_lineage": _lineage(node, spec, step, code)}
    if step.first_day == step.last_day:
        facts |= lineage
        return None
    return dg.AssetMaterialization(spec.key, partition=step.last_day, metadata={**facts, **lineage})


def _lineage(node: Node, spec: dg.AssetSpec, step: BuiltTables, code: str) -> dg.TableColumnLineage:
    manifest = step.runner.manifest
    sources = declared_sources(step.platform.settings.project)
    raw = {source.name: source.version_columns() for source in sources}
    parents = {}
    keys = {dep.asset_key.path[-1]: dep.asset_key for dep in spec.deps}
    for parent_id in get_upstream_unique_ids(manifest, node):
        parent = manifest["sources"].get(parent_id) or manifest["nodes"][parent_id]
        name = source_of(parent["name"])
        declared = {name: column.get("data_type") or "text" for name, column in parent["columns"].items()}
        types = declared or raw.get(name)
        if name in keys and types:
            parents[parent["relation_name"].replace('"', "")] = (keys[name], types)
    compiled = (
        step.runner.target / "compiled" / manifest["metadata"]["project_name"] / node["original_file_path"]
    )
    return column_lineage(compiled.read_text(), code, parents, step.runner.target / "lineage")


def _is_selected(
    result: NodeResult, checks: Mapping[str, dg.AssetCheckSpec], selected: Set[dg.AssetCheckKey]
) -> bool:
    """Whether a result is a check's that was asked for; one that was skipped has nothing to tell."""
    check = checks.get(result.unique_id)
    return check is not None and check.key in selected and result.status != "skipped"


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

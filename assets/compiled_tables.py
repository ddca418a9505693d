"""Tables as the proofs of `ml.proofs` take them: compiled by dbt, described by its manifest.

What is proved with them is said there.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from assets.dbt_nodes import Node, is_daily, table_meta, tables_of, tests_of
from assets.dbt_runner import DbtRunner
from ml.calendars import Calendar
from ml.errors import NotAuditable
from ml.lake.workshop import Workshop
from ml.proofs.cutoffs import Cutoff
from ml.proofs.leakage import Plan, audited
from ml.proofs.rebuild import Snapshot, Table, lookback, reach, upstream
from ml.provenance import CompiledSql
from ml.sources.catalogue import declared_sources
from ml.split import Span

_KEY_TEST = "unique_together"
_SCRAMBLED = 2  # days, or weeks, beyond a cutoff whose rows are scrambled rather than removed
_NOT_DUE = "it belongs to an entity and has neither prediction_at (features) nor label_known_at (labels)"


def audited_tables(runner: DbtRunner) -> dict[str, str]:
    """The tables that the leakage audit looks at, in no order: id to relation ("schema.name").

    Raises:
        NotAuditable: a table of an entity does not say when its rows are due.
    """
    found = {one.table.unique_id: one.table.relation for one in audited(described_tables(runner))}
    for node in tables_of(runner.manifest):
        if table_meta(node).get("entity") and node["unique_id"] not in found:
            raise NotAuditable(node["name"], _NOT_DUE)
    return found


def audit_plan(
    runner: DbtRunner,
    snapshot: Snapshot,
    calendar: Calendar,
    only: tuple[str, ...],
    on_cutoff: Callable[[Cutoff], None] = lambda _: None,
) -> Plan:
    """How to audit relations of one calendar, with what they are made from and nothing of another."""
    own = {*calendar.tables, *calendar.reference_tables}

    def compiled(first: date, last: date) -> Sequence[Table]:
        return compiled_tables(runner, first, last, own)

    sources = [s for s in declared_sources(runner.settings.project) if s.name in calendar.all_sources]
    tables = [table for table in described_tables(runner) if table.name in own]
    return Plan(
        snapshot,
        sources,
        tables,
        compiled,
        scramble_days=_SCRAMBLED * calendar.every,
        every=calendar.every,
        only=only,
        on_cutoff=on_cutoff,
    )


def described_tables(runner: DbtRunner) -> tuple[Table, ...]:
    """Every table of the project without its SQL, in no order: what the manifest alone says."""
    nodes = (node for node in tables_of(runner.manifest) if node["resource_type"] == "model")
    return tuple(_table(runner, node["unique_id"], "") for node in nodes)


def compiled_tables(
    runner: DbtRunner, first_day: date, last_day: date, names: Collection[str] = ()
) -> tuple[Table, ...]:
    """The named tables (none: all), upstream first, compiled for these days; takes the workshop's turn."""
    with Workshop(runner.settings).turn():
        days = {"start_day": first_day.isoformat(), "end_day": last_day.isoformat()}
        select = sorted(names) or ["resource_type:model"]
        nodes = runner.compiled(*select, "--indirect-selection", "empty", **days)
    return tuple(
        _table(runner, str(node.unique_id), str(node.compiled_code))
        for node in nodes
        if node.config.materialized != "ephemeral"  # a part of the SQL of those that read it
    )


def compiled_lineage(runner: DbtRunner, names: Sequence[str], days: Span) -> CompiledSql:
    """Named tables and all that they are made from, so that they are whole on these days; takes no turn."""
    described = described_tables(runner)
    made_from = upstream(described, [table.relation for table in described if table.name in names])
    first = days.first_day - timedelta(days=lookback(made_from))
    last = days.last_day + timedelta(days=reach(made_from))
    window = {"start_day": first.isoformat(), "end_day": last.isoformat()}
    select = [f"+{name}" for name in names]
    compiled = runner.compiled_apart(*select, "--indirect-selection", "empty", **window)
    nodes = runner.manifest["nodes"]
    tables = (
        _table(runner, unique_id, sql)
        for unique_id, sql in compiled.items()
        if nodes[unique_id]["config"]["materialized"] != "ephemeral"
    )
    return CompiledSql.of(first, last, tables)


def _table(runner: DbtRunner, unique_id: str, sql: str) -> Table:
    manifest = runner.manifest
    node = manifest["nodes"][unique_id]
    meta = table_meta(node)
    return Table(
        schema=node["schema"],
        name=node["name"],
        sql=sql,
        is_view=node["config"]["materialized"] == "view",
        is_by_day=is_daily(node),
        reach_days=int(meta.get("reach_days", 0)),
        lookback_days=int(meta.get("lookback_days", 0)),
        unique_id=unique_id,
        reads=tuple(_reads(manifest, node)),
        key=_key(manifest, unique_id),
        is_published=bool(meta.get("publish")),
        types={name: column["data_type"] for name, column in node["columns"].items() if column["data_type"]},
    )


def _reads(manifest: Mapping[str, Any], node: Node) -> Iterator[str]:
    """The relations that a table's SQL names; what an ephemeral parent reads is named there."""
    for unique_id in node["depends_on"]["nodes"]:
        parent = manifest["sources"].get(unique_id) or manifest["nodes"][unique_id]
        if parent.get("config", {}).get("materialized") == "ephemeral":
            yield from _reads(manifest, parent)
        else:
            yield f"{parent['schema']}.{parent['name']}"


def _key(manifest: Mapping[str, Any], unique_id: str) -> tuple[str, ...]:
    """The columns that a test says are unique together."""
    tests = (manifest["nodes"][test].get("test_metadata") or {} for test in tests_of(manifest, unique_id))
    keys = (test["kwargs"]["columns"] for test in tests if test.get("name") == _KEY_TEST)
    return tuple(next(keys, ()))

"""The dbt project as assets: every table an asset, every data test an asset check, built warm and published.

What a table means is its SQL and YAML; where rows are stored is the lake's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from assets.calendar import ONE_RUN, calendar_of, fresh, project_calendars
from assets.components.dbt_events import BuiltTables, table_events
from assets.components.dbt_translator import TableTranslator
from assets.components.leakage_check import leakage_checks
from assets.components.proof_checks import proof_checks
from assets.components.sql_check import sql_checks
from assets.dbt_nodes import Node, is_daily, tables_of, tests_of, unit_tests_of
from assets.dbt_runner import DbtRunner
from assets.keys import is_automated
from assets.resources import Platform
from assets.table_code import project_code
from ml.calendars import Calendar
from ml.settings import Settings


class DbtTables(dg.Component, dg.Model, dg.Resolvable):
    """Every table of the project's dbt folder: a step of reference tables, and a step of each calendar's."""

    owners: list[str]

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        runner = DbtRunner(Settings.from_env())
        calendars = project_calendars(runner)
        tables = project_code(runner).tables
        translator = TableTranslator(runner.manifest, tuple(self.owners), tables, calendars)
        nodes = list(tables_of(runner.manifest))
        specs = {node["unique_id"]: _spec(node, runner, translator, calendars) for node in nodes}
        steps = [_Step("reference_tables", None), *(_Step(_called(one), one) for one in calendars)]
        return dg.Definitions(
            assets=[
                _step(step, [node for node in nodes if step.has(node)], specs, runner, translator)
                for step in steps
            ],
            asset_checks=proof_checks(specs, runner),
        )


@dataclass(frozen=True)
class _Step:
    """Tables that are built together: those of a calendar, or those without days."""

    name: str
    calendar: Calendar | None

    def has(self, node: Node) -> bool:
        """Whether a table is one of them."""
        return node["name"] in self.calendar.tables if self.calendar else not is_daily(node)


def _called(calendar: Calendar) -> str:
    """`daily_tables`, `weekly_tables`, and with the first source where there are several of these."""
    return calendar.name.replace("days", "daily_tables", 1).replace("weeks", "weekly_tables", 1)


def _step(
    step: _Step,
    nodes: Sequence[Node],
    all_specs: Mapping[str, dg.AssetSpec],
    runner: DbtRunner,
    translator: DagsterDbtTranslator,
) -> dg.AssetsDefinition:
    specs = {node["unique_id"]: all_specs[node["unique_id"]] for node in nodes}
    checks = _checks(specs, runner, translator) | sql_checks(specs) | leakage_checks(specs, runner)
    calendar = step.calendar

    @dg.multi_asset(
        name=step.name,
        specs=list(specs.values()),
        check_specs=list(checks.values()),
        can_subset=True,
        backfill_policy=ONE_RUN if calendar else None,
    )
    def build(
        context: dg.AssetExecutionContext, platform: Platform
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        days = context.partition_key_range if calendar else None
        selected = [node for node in nodes if specs[node["unique_id"]].key in context.selected_asset_keys]
        built = BuiltTables(
            runner,
            platform,
            tuple(selected),
            days.start if days else None,
            days.end if days else None,
            run=context.run.run_id,
            calendar=calendar,
            only_stale=is_automated(context),
        )
        yield from table_events(built, specs, checks, context.selected_asset_check_keys, context.log_event)

    return build


def _spec(
    node: Node, runner: DbtRunner, translator: DagsterDbtTranslator, calendars: tuple[Calendar, ...]
) -> dg.AssetSpec:
    spec = translator.get_asset_spec(runner.manifest, node["unique_id"], None)
    here = runner.project_dir / node["original_file_path"]
    published = {"iceberg"} if node["config"].get("meta", {}).get("publish") else set()
    calendar = calendar_of(node["name"], calendars)
    if published and calendar:
        spec = spec.replace_attributes(freshness_policy=fresh(calendar.every))
    return spec.merge_attributes(
        kinds={"dbt", "duckdb", *published},
        metadata={"dagster/code_references": _code(here, runner.project_dir)},
    )


def _code(sql: Path, project: Path) -> dg.CodeReferencesMetadataValue:
    files = [
        file for file in (sql, sql.with_suffix(".yml")) if file.is_relative_to(project) and file.exists()
    ]
    return dg.CodeReferencesMetadataValue(
        code_references=[dg.LocalFileCodeReference(file_path=str(file), label=file.name) for file in files]
    )


def _checks(
    specs: Mapping[str, dg.AssetSpec], runner: DbtRunner, translator: DagsterDbtTranslator
) -> dict[str, dg.AssetCheckSpec]:
    checks = {}
    for unique_id, spec in specs.items():
        for test in tests_of(runner.manifest, unique_id):
            check = translator.get_asset_check_spec(spec, runner.manifest, test, None)
            if check is not None:
                checks[test] = check
        for test in unit_tests_of(runner.manifest, unique_id):
            checks[test] = _unit_test(spec, runner.manifest["unit_tests"][test])
    return checks


def _unit_test(table: dg.AssetSpec, test: Node) -> dg.AssetCheckSpec:
    """A unit test of the table's SQL; it does not look at data, so it runs when the code changed.

    Not `blocking`, which would be told of each run that has no result of it: dbt does not build a table
    whose unit test fails, and the step fails with it.
    """
    return dg.AssetCheckSpec(
        test["name"],
        asset=table.key,
        description=f"Unit test: {test.get('description') or test['name']}",
        metadata={"runs": "when the code of the table or of the test changed"},
    )

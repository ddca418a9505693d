"""The code version of every table: a digest of what its rows are made by, and of nothing else.

Compiled for fixed days, so that days do not count; token by token, so that comments and layout do not.
Macros, ephemeral parents and vars are in what is compiled. Which tables are stale is `ml.stale`'s.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from assets.dbt_nodes import Node, is_daily, parents_of, table_meta, tables_of, tests_of
from assets.dbt_runner import DbtRunner
from assets.serving_check import Refused, refused
from ml.canonical import digest
from ml.tables import Table

_FORMAT = 2  # of the digests: another number, and everything is computed anew
_DAYS = {"start_day": "2000-01-01", "end_day": "2000-01-01"}
_META = ("reach_days", "lookback_days", "publish", "keep_days")
_SETTINGS = (
    "materialized", "incremental_strategy", "unique_key", "on_schema_change", "contract", "column_types",
    "pre-hook", "post-hook",
)  # fmt: skip
_TEST_SETTINGS = ("where", "limit", "severity", "error_if", "warn_if", "fail_calc")
# Where one of these is called, the compiled SQL depends on what the database holds.
_OPEN = {"macro.dbt.is_incremental", "macro.dbt.run_query", "macro.dbt.statement"}


@dataclass(frozen=True)
class ProjectCode:
    """Every table with its code; the code of what the endpoint runs; that of unit tests, by their id.

    `refused` are the feature tables that the endpoint can't compute.
    """

    tables: Mapping[str, Table]
    online: Mapping[str, str]
    unit_tests: Mapping[str, str]
    refused: Mapping[str, Refused]

    def check_served(self, table: str) -> None:
        """Raise FeatureSqlUnfit where the endpoint can't compute a feature table."""
        if table in self.refused:
            raise self.refused[table].error


def project_code(runner: DbtRunner) -> ProjectCode:
    """The code of the project as it stands; compiled again only when a file of it changed.

    Raises TablesNotBuilt when dbt can't parse it. A table that can't be compiled has a code too: that of its
    text.
    """
    kept = runner.target / "codes.json"
    manifest = runner.manifest
    of = [_FORMAT, manifest["metadata"]["invocation_id"], manifest["metadata"]["generated_at"]]
    if kept.exists():
        told = json.loads(kept.read_text())
        if told["of"] == of and "refused" in told:
            tables = {t["name"]: Table(**t | {"parents": tuple(t["parents"])}) for t in told["tables"]}
            refused = {name: Refused(**one) for name, one in told["refused"].items()}
            return ProjectCode(tables, told["online"], told["unit_tests"], refused)
    code = _compiled(runner)
    part = kept.with_suffix(".part")
    tables = [asdict(table) for table in code.tables.values()]
    part.write_text(
        json.dumps(
            {
                "of": of,
                "tables": tables,
                "online": code.online,
                "unit_tests": code.unit_tests,
                "refused": {name: one.as_json() for name, one in code.refused.items()},
            }
        )
    )
    part.replace(kept)
    return code


def _compiled(runner: DbtRunner) -> ProjectCode:
    manifest = runner.manifest
    batch = runner.compiled_apart("resource_type:model", "resource_type:test", **_DAYS, execution="batch")
    online = runner.compiled_apart("resource_type:model", **_DAYS, execution="online")
    tables = {node["name"]: _table(manifest, node, batch) for node in tables_of(manifest)}
    models = [node for node in tables_of(manifest) if node["resource_type"] == "model"]
    return ProjectCode(
        tables,
        {n["name"]: _digest(_sql(manifest, n, online)) for n in models if "entity" in table_meta(n)},
        {
            test["unique_id"]: _digest([tables[test["model"]].code, _unit_test(test)])
            for test in manifest["unit_tests"].values()
            if test["model"] in tables
        },
        {one.table: one for one in _refused(manifest, models, online)},
    )


def _refused(manifest: Node, models: Iterable[Node], online: Mapping[str, str]) -> Iterator[Refused]:
    for node in models:
        sql = online.get(node["unique_id"])
        found = refused(manifest, node, sql) if sql and "entity" in table_meta(node) else None
        if found is not None:
            yield found


def _table(manifest: Node, node: Node, compiled: Mapping[str, str]) -> Table:
    meta, config = table_meta(node), node["config"]
    made_by = {
        "format": _FORMAT,
        "relation": node["relation_name"],
        "columns": [
            (c["name"], c.get("data_type"), c.get("constraints") or []) for c in node["columns"].values()
        ],
        "constraints": node.get("constraints") or [],
        "settings": {name: config.get(name) for name in _SETTINGS},
        "meta": {name: meta.get(name) for name in _META},
        "sql": _sql(manifest, node, compiled),
        "strategy": _macros(manifest, _strategy(manifest, node)),
    }
    blocking = [manifest["nodes"][test] for test in tests_of(manifest, node["unique_id"])]
    checks = sorted(
        (
            test["name"],
            [test["config"].get(name) for name in _TEST_SETTINGS],
            _sql(manifest, test, compiled),
        )
        for test in blocking
        if str(test["config"].get("severity", "error")).lower() == "error"
    )
    return Table(
        name=node["name"],
        parents=tuple(sorted(parents_of(manifest, node))),
        code=_digest(made_by),
        checks=_digest(checks),
        is_daily=is_daily(node),
        lookback_days=int(meta.get("lookback_days", 0)),
        reach_days=int(meta.get("reach_days", 0)),
    )


def _sql(manifest: Node, node: Node, compiled: Mapping[str, str]) -> Any:
    """The compiled SQL without comments and layout, and the text of its macros where that isn't all."""
    macros = set(_closure(manifest, node["depends_on"].get("macros", ())))
    if node["unique_id"] not in compiled or macros & _OPEN:
        text = node.get("raw_code") or node["checksum"]["checksum"]
        return [text, compiled.get(node["unique_id"]), _macros(manifest, macros)]
    return canonical_sql(compiled[node["unique_id"]])


def canonical_sql(sql: str) -> Any:
    """SQL as its tokens, which leaves comments and layout out and nothing else; as text if it has none."""
    from sqlglot.dialects import DuckDB
    from sqlglot.errors import SqlglotError
    from sqlglot.tokens import TokenType

    literal = {TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.VAR}
    try:
        tokens = DuckDB().tokenize(sql)
    except SqlglotError:
        return sql
    return [
        (t.token_type.name, t.text if t.token_type in literal else " ".join(t.text.upper().split()))
        for t in tokens
    ]


def _strategy(manifest: Node, node: Node) -> Iterator[str]:
    """The project's own macros that write the table's rows, which its compiled SQL does not show."""
    config = node["config"]
    wanted = [f"materialization_{config.get('materialized')}_"]
    if config.get("materialized") == "incremental":
        wanted.append(f"get_incremental_{config.get('incremental_strategy')}_sql")
    for unique_id, macro in manifest["macros"].items():
        is_own = macro["package_name"] == node["package_name"]
        if is_own and macro["name"].removeprefix("duckdb__").startswith(tuple(wanted)):
            yield unique_id


def _closure(manifest: Node, macros: Iterable[str]) -> Iterator[str]:
    seen, waiting = set(), list(macros)
    while waiting:
        macro = waiting.pop()
        if macro in seen:
            continue
        seen.add(macro)
        yield macro
        waiting += manifest["macros"].get(macro, {}).get("depends_on", {}).get("macros", ())


def _macros(manifest: Node, macros: Iterable[str]) -> list[tuple[str, str]]:
    """The text of macros and of those they call; dbt's own count by their text as well."""
    return sorted((name, manifest["macros"][name]["macro_sql"]) for name in set(_closure(manifest, macros)))


def _unit_test(test: Node) -> Any:
    return [test.get(part) for part in ("given", "expect", "overrides", "config")]


def _digest(value: Any) -> str:
    return digest(json.dumps(value, sort_keys=True, default=str))[:16]

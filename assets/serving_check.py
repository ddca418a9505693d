"""Feature tables held to what the endpoint computes, when definitions load: file, line and reason.

What is computed alike is `ml.online_plan`'s.
"""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import sqlglot
from sqlglot.errors import SqlglotError

from assets.dbt_nodes import Node
from ml.errors import FeatureSqlUnfit, ManifestUnfit
from ml.feature_definition import FeatureDefinition
from ml.online_plan.kinds import of_declared
from ml.online_plan.plan import Kinds, compile_plan


@dataclass(frozen=True)
class Refused:
    """What a feature table's SQL for serving does that is not computed alike; `where` is file and line."""

    table: str
    where: str
    line: int | None
    fragment: str
    reason: str

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)

    @property
    def error(self) -> FeatureSqlUnfit:
        """The same, to be raised."""
        return FeatureSqlUnfit(self.table, self.line, self.fragment, self.reason, self.where)


def refused(manifest: Node, node: Node, online_sql: str) -> Refused | None:
    """Why a table of an entity can't be served; None where it can, or is no feature table."""
    try:
        definition = FeatureDefinition.from_manifest(manifest, node["name"], online_sql)
    except ManifestUnfit:
        return None  # a spine, or labels: what a model makes of it is told where the model is declared
    request: Kinds = {column.name: column.kind for column in definition.request} | {"request_row": "integer"}
    models = {one["name"]: one for one in manifest["nodes"].values() if one["resource_type"] == "model"}
    tables = {name: _kinds(models[name]) for name in definition.online_tables}
    if not _is_read(online_sql):
        return None  # a mistake in it is told by DuckDB when the table is built
    try:
        compile_plan(node["name"], online_sql, request, tables)
    except FeatureSqlUnfit as refusal:
        where = _where(node, online_sql, refusal.line)
        return Refused(node["name"], where, refusal.line, refusal.fragment, refusal.reason)
    return None


def _is_read(sql: str) -> bool:
    try:
        sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError:
        return False
    return True


def _kinds(node: Node) -> Mapping[str, str]:
    columns = node["columns"].values()
    return {one["name"]: of_declared(one["data_type"]) for one in columns if one.get("data_type")}


def _where(node: Node, online_sql: str, line: int | None) -> str:
    """The place in the file of the table: the line most like the one that was compiled from it."""
    file = f'"dbt_project/{node["original_file_path"]}"'
    if line is None:
        return file
    compiled = online_sql.splitlines()[line - 1].strip()
    raw = [one.strip() for one in node["raw_code"].splitlines()]
    close = difflib.get_close_matches(compiled, raw, n=1, cutoff=0.4)
    return f"{file}, line {raw.index(close[0]) + 1}" if close else file

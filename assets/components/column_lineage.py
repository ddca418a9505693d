"""Which columns of its parents each column of a table is made from, read from the table's compiled SQL.

No SQL is run. Tracing costs seconds for a wide table, so its result is kept by the table's code.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from ml.canonical import digest

Columns = Mapping[str, list[list[str]]]


def column_lineage(
    sql: str, code: str, parents: Mapping[str, tuple[dg.AssetKey, Mapping[str, str]]], cache: Path
) -> dg.TableColumnLineage:
    """Trace every output column of `sql` to the columns of `parents` (relation name -> key, column types).

    `code` names the SQL apart from the days it was compiled for.
    """
    types = sorted((name, sorted(types.items())) for name, (_, types) in parents.items())
    kept = cache / f"{digest(repr((code, types)))}.json"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(_trace(sql, {name: types for name, (_, types) in parents.items()})))
    columns: Columns = json.loads(kept.read_text())
    deps = {
        name: [dg.TableColumnDep(parents[relation][0], column) for relation, column in origins]
        for name, origins in columns.items()
    }
    return dg.TableColumnLineage(deps_by_column=deps)


def _trace(sql: str, schema: Mapping[str, Mapping[str, str]]) -> Columns:
    from sqlglot.lineage import lineage  # only a changed table pays for it

    nested: dict[str, Any] = {}
    for relation, types in schema.items():
        *path, table = relation.split(".")
        level = nested
        for part in path:
            level = level.setdefault(part, {})
        level[table] = dict(types)
    roots = lineage(None, sql, nested, dialect="duckdb", trim_selects=False)
    traced = {
        column: sorted({_origin(node) for node in root.walk() if _is_table_column(node)})
        for column, root in roots.items()
    }
    return {column: [list(pair) for pair in pairs] for column, pairs in traced.items()}


def _is_table_column(node: Any) -> bool:
    from sqlglot import exp

    return not node.downstream and isinstance(node.expression, exp.Table)


def _origin(node: Any) -> tuple[str, str]:
    table = node.expression
    relation = ".".join(part for part in (table.catalog, table.db, table.name) if part)
    return relation, node.name.rsplit(".", 1)[-1].strip('"')

"""Which columns each column of a table is made from, read from compiled SQL; none is run.

It follows values, not rows: that a join or a filter reads a column does not make what is joined from it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ml.proofs.rebuild import Table

Origin = tuple[str, str]  # a relation as the SQL names it, without quotes, and a column of it
Types = Mapping[str, str]  # of a relation's columns
_WORKSHOP = "workshop"  # the database, as compiled SQL calls it


def traced(sql: str, relations: Mapping[str, Types]) -> dict[str, list[Origin]]:
    """The origins of every output column of `sql`, which reads these relations; it takes up to a second.

    A column that is made from no other, as a count of rows, has none. Raises sqlglot.errors.SqlglotError.
    """
    from sqlglot.lineage import lineage  # only a changed table pays for it

    roots = lineage(None, sql, _nested(relations), dialect="duckdb", trim_selects=False)
    return {
        column: sorted({_origin(node) for node in root.walk() if _is_table_column(node)})
        for column, root in roots.items()
    }


def made_from(
    tables: Sequence[Table], raw: Mapping[str, Types], reached: Collection[str]
) -> dict[str, set[str]]:
    """Columns by table, of `tables` (upstream first), that values of the relations `reached` get into.

    `raw` are the relations outside of `tables`, called "schema.name" as `reached` are. A column that is made
    from none counts when its table reads what is reached. Raises sqlglot.errors.SqlglotError.
    """
    types = {f"{_WORKSHOP}.{name}": columns for name, columns in raw.items()}
    tainted = {f"{_WORKSHOP}.{name}": set(raw[name]) for name in reached}
    found = {}
    for table in tables:
        of_its_sql = {name: columns for name, columns in types.items() if name in _read(table.sql)}
        reads_it = any(tainted.get(name) for name in of_its_sql)
        columns = traced(table.sql, of_its_sql) if reads_it else {}
        found[table.name] = {
            column
            for column, origins in columns.items()
            if not origins or any(name in tainted.get(relation, ()) for relation, name in origins)
        }
        types[f"{_WORKSHOP}.{table.relation}"] = table.types
        tainted[f"{_WORKSHOP}.{table.relation}"] = found[table.name]
    return found


def _read(sql: str) -> set[str]:
    from sqlglot import exp, parse_one

    return {_relation(table) for table in parse_one(sql, dialect="duckdb").find_all(exp.Table)}


def _nested(relations: Mapping[str, Types]) -> dict[str, Any]:
    """By catalog, schema and table, as sqlglot takes them."""
    nested: dict[str, Any] = {}
    for relation, types in relations.items():
        *path, table = relation.split(".")
        level = nested
        for part in path:
            level = level.setdefault(part, {})
        level[table] = dict(types)
    return nested


def _is_table_column(node: Any) -> bool:
    from sqlglot import exp

    return not node.downstream and isinstance(node.expression, exp.Table)


def _origin(node: Any) -> Origin:
    return _relation(node.expression), node.name.rsplit(".", 1)[-1].strip('"')


def _relation(table: Any) -> str:
    return ".".join(part for part in (table.catalog, table.db, table.name) if part)

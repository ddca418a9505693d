"""One feature table as dbt describes it: its columns, what a request carries, and its SQL for serving.

dbt's manifest is read as plain JSON; running the SQL belongs to dbt and to the online store.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ml.canonical import digest
from ml.errors import ManifestUnfit, nearest

Kind = Literal["integer", "real", "boolean", "text", "timestamp", "date"]
Scalar = bool | int | float | str

_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT", "LONG", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"), "integer"),
    **dict.fromkeys(("FLOAT", "REAL", "DOUBLE", "DECIMAL", "NUMERIC"), "real"),
    **dict.fromkeys(("BOOLEAN", "BOOL"), "boolean"),
    **dict.fromkeys(("VARCHAR", "TEXT", "STRING"), "text"),
    "TIMESTAMP": "timestamp",
    "DATE": "date",
}


@dataclass(frozen=True)
class Column:
    """A column as declared: `unit` and bounds for people and for checking requests, `example` for both."""

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    is_category: bool = False
    is_required: bool = False
    minimum: Scalar | None = None
    maximum: Scalar | None = None
    example: Scalar | None = None


@dataclass(frozen=True)
class FeatureDefinition:
    """A feature table, one row per `key` and `prediction_at`.

    `request` are the columns of relation `request` that `online_sql` reads, `online_tables` the tables it
    reads in schema `online`; `batch_sql` is the model's text before compilation. `spine` is the table of
    those asked about, where it is published: with rows of coming days it tells who can be asked about next.
    """

    table: str
    entity: str
    key: str
    request: tuple[Column, ...]
    features: tuple[Column, ...]
    online_sql: str
    batch_sql: str
    online_tables: tuple[str, ...]
    spine: str | None = None

    @property
    def sql_sha256(self) -> str:
        """Digest of the SQL that serving runs; macros are resolved in it."""
        return digest(self.online_sql)

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any], table: str, online_sql: str) -> "FeatureDefinition":
        """Read `manifest.json`; `online_sql` is the table compiled for `execution: online`.

        Raises ManifestUnfit naming the table and column that lack something.
        """
        node = _model(manifest, table)
        parents = [manifest["nodes"].get(name) for name in node["depends_on"]["nodes"]]
        models = [parent for parent in parents if parent]
        spine = _spine(manifest, table)
        entity, key = str(_meta(spine)["entity"]), str(_meta(spine)["key"])
        if key != f"{entity}_id":
            raise ManifestUnfit(spine["name"], f"meta 'key' must be '{entity}_id'; it is {key!r}")
        computed = {key, "prediction_at", "day"}
        return cls(
            table=table,
            entity=entity,
            key=key,
            request=tuple(c for c in _columns(spine) if c.name not in computed),
            features=tuple(c for c in _columns(node) if c.name not in computed),
            online_sql=online_sql,
            batch_sql=str(node["raw_code"]),
            online_tables=_online_tables(table, online_sql, [m["name"] for m in models if m is not spine]),
            spine=str(spine["name"]) if _meta(spine).get("publish") else None,
        )


def spine_relation(manifest: Mapping[str, Any], table: str) -> str:
    """The relation that a feature table's requests are in; raises ManifestUnfit when there is no such."""
    return str(_spine(manifest, table)["relation_name"])


def published_spine(manifest: Mapping[str, Any], table: str) -> str | None:
    """The table of a feature table's requests where it is published, else None."""
    spine = _spine(manifest, table)
    return str(spine["name"]) if _meta(spine).get("publish") else None


def _spine(manifest: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    node = _model(manifest, table)
    parents = [manifest["nodes"].get(name) for name in node["depends_on"]["nodes"]]
    spines = [parent for parent in parents if parent and {"entity", "key"} <= set(_meta(parent))]
    if len(spines) != 1:
        found = ", ".join(repr(spine["name"]) for spine in spines) or "none"
        raise ManifestUnfit(
            table, f"must read one table with meta 'entity' and 'key' (its spine); it reads {found}"
        )
    found_one: Mapping[str, Any] = spines[0]
    return found_one


def columns_of(manifest: Mapping[str, Any], table: str) -> tuple[Column, ...]:
    """The declared columns of any table of the dbt project; raises ManifestUnfit when there is none such."""
    return _columns(_model(manifest, table))


def _model(manifest: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    models = {n["name"]: n for n in manifest["nodes"].values() if n.get("resource_type") == "model"}
    if table not in models:
        raise ManifestUnfit(table, f"no such table in the dbt project. {nearest(table, models)}")
    node: Mapping[str, Any] = models[table]
    return node


def _meta(described: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**(described.get("meta") or {}), **((described.get("config") or {}).get("meta") or {})}


def _columns(node: Mapping[str, Any]) -> tuple[Column, ...]:
    return tuple(_column(node["name"], column) for column in node["columns"].values())


def _column(table: str, declared: Mapping[str, Any]) -> Column:
    name, data_type = declared["name"], declared.get("data_type")
    if not data_type:
        raise ManifestUnfit(table, f"column {name!r} has no data_type in its YAML")
    base = re.sub(r"\(.*\)", "", str(data_type)).strip().upper()
    if base not in _KINDS:
        raise ManifestUnfit(table, f"column {name!r} has data_type {data_type!r}. {nearest(base, _KINDS)}")
    meta = _meta(declared)
    constraints = {constraint["type"] for constraint in declared.get("constraints") or ()}
    return Column(
        name=name,
        kind=_KINDS[base],
        description=" ".join(str(declared.get("description") or "").split()),
        unit=meta.get("unit"),
        is_category=bool(meta.get("category", False)),
        is_required=bool(meta.get("required", False)) or "not_null" in constraints,
        minimum=meta.get("minimum"),
        maximum=meta.get("maximum"),
        example=meta.get("example"),
    )


def _online_tables(table: str, online_sql: str, parents: Sequence[str]) -> tuple[str, ...]:
    read = set(re.findall(r'\bonline"?\s*\.\s*"?(\w+)', online_sql))
    unread = sorted(set(parents) - read)
    if unread or read - set(parents):
        raise ManifestUnfit(
            table,
            f"its SQL for serving reads {sorted(read)} in schema 'online', and the table depends on "
            f"{sorted(parents)}: both must be the same. Read every table but the spine through as_of",
        )
    return tuple(sorted(read))

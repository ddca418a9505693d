"""What a project's SQL reads: relations with their declared types, and the columns that name a row of them.

Nothing is opened: a manifest says what a table promises, a source's declaration what its raw rows have.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml.sources.declaration import Source

Manifest = Mapping[str, Any]
Keys = frozenset[frozenset[str]]

CATALOG = "workshop"


@dataclass(frozen=True)
class Relation:
    """A table that SQL may read: DuckDB types by column; no two rows are equal in the columns of a key."""

    schema: str
    name: str
    types: Mapping[str, str]
    keys: Keys = frozenset()


def relations_of(manifest: Manifest, sources: Iterable[Source]) -> tuple[Relation, ...]:
    """The raw tables that the sources declare, and the manifest's models and seeds."""
    return (*(one for source in sources for one in _raw(source)), *_tables(manifest))


def _raw(source: Source) -> Iterator[Relation]:
    """Every row of every file, the versions of rows, and those that hold: see `ml.sources`."""
    types = {name.lower(): type_ for name, type_ in source.raw_columns().items()}
    versions = {name.lower(): type_ for name, type_ in source.version_columns().items()}
    day = frozenset({"day"} if source.every_days else set())
    place = day | {"row_number", "loaded_at", "source_file_id"}
    key = day | {name.lower() for name in source.key}
    is_unique = source.duplicates == "quarantine"
    yield Relation("raw", source.name, types, frozenset({place}))
    keys = {place, key | {"corrected_at"}} if is_unique else {place}
    yield Relation("raw", f"{source.name}_versions", versions, frozenset(keys))
    yield Relation("raw", f"{source.name}_current", types, frozenset({place, key} if is_unique else {place}))


def _tables(manifest: Manifest) -> Iterator[Relation]:
    tested = _tested_keys(manifest)
    for id_, node in manifest["nodes"].items():
        if node["resource_type"] in {"model", "seed"}:
            types = {
                name.lower(): str(column.get("data_type") or "") for name, column in node["columns"].items()
            }
            yield Relation(node["schema"], node["name"], types, frozenset(tested.get(id_, ())))


def _tested_keys(manifest: Manifest) -> dict[str, set[frozenset[str]]]:
    """Keys that a data test holds a table to: `unique` of a column, `unique_together` of several."""
    keys: dict[str, set[frozenset[str]]] = {}
    for node in manifest["nodes"].values():
        told = node.get("test_metadata") or {}
        given = told.get("kwargs", {})
        columns = {"unique": [given.get("column_name")], "unique_together": given.get("columns")}
        named = columns.get(told.get("name", ""))
        if named and node.get("attached_node") and _blocks(node):
            keys.setdefault(node["attached_node"], set()).add(frozenset(str(name).lower() for name in named))
    return keys


def _blocks(test: Mapping[str, Any]) -> bool:
    """Whether a row that breaks the test keeps the table from being read: a warning proves nothing."""
    config = test["config"]
    return str(config.get("severity", "error")).lower() == "error" and not config.get("where")

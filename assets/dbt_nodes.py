"""What a node of dbt's manifest says: plain reading of the manifest, without dbt.

How a table is shown in Dagster is `components.dbt_translator`'s.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from assets.keys import source_of
from ml.tables import raw_name

Node = Mapping[str, Any]


def tables_of(manifest: Mapping[str, Any]) -> Iterator[Node]:
    """The project's tables, in no order; what is ephemeral is part of the tables that read it."""
    for node in manifest["nodes"].values():
        is_table = node["resource_type"] in {"model", "seed"}
        if is_table and node["config"].get("materialized") != "ephemeral":
            yield node


def tests_of(manifest: Mapping[str, Any], unique_id: str) -> Iterator[str]:
    """Ids of the data tests that look at a table."""
    yield from (child for child in manifest["child_map"].get(unique_id, ()) if child.startswith("test."))


def unit_tests_of(manifest: Mapping[str, Any], unique_id: str) -> Iterator[str]:
    """Ids of the unit tests of a table's SQL."""
    yield from (child for child in manifest["child_map"].get(unique_id, ()) if child.startswith("unit_test."))


def layer_of(node: Node) -> str:
    """The folder under models/ (or `seeds`, or the source's schema) that a table lives in."""
    if node["resource_type"] == "source":
        return str(node["source_name"])
    return str(node["fqn"][1]) if len(node["fqn"]) > 2 else "reference"  # noqa: PLR2004  project, folder, name


def table_meta(node: Node) -> Mapping[str, Any]:
    """What a table's YAML declares under `config.meta`."""
    meta: Mapping[str, Any] = node.get("config", {}).get("meta") or node.get("meta") or {}
    return meta


def is_daily(node: Node) -> bool:
    """Whether a table is built by day: it has a `day` column and is not made anew as a whole."""
    return "day" in node.get("columns", {}) and node["config"].get("materialized") != "table"


def parents_of(manifest: Mapping[str, Any], node: Node) -> Iterator[str]:
    """What a table is made from, sources by `raw_name`; an ephemeral parent stands for its own parents."""
    for parent in node["depends_on"].get("nodes", ()):
        if parent in manifest["sources"]:
            yield raw_name(source_of(manifest["sources"][parent]["name"]))
        elif manifest["nodes"][parent]["config"].get("materialized") == "ephemeral":
            yield from parents_of(manifest, manifest["nodes"][parent])
        else:
            yield manifest["nodes"][parent]["name"]

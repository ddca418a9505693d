"""A feature definition read from dbt's manifest, and what a manifest may lack."""

from collections.abc import Callable
from typing import Any

import pytest

from ml.errors import ManifestUnfit
from ml.feature_definition import Column, FeatureDefinition, columns_of
from tests.ml.parcels import ONLINE_SQL, column, definition, manifest

Nodes = dict[str, Any]


def test_request_features_and_online_tables_come_from_the_manifest() -> None:
    found = definition()
    assert (found.entity, found.key, found.online_tables) == ("parcel", "parcel_id", ("int_depots",))
    assert found.request == (
        Column("depot_id", "text", "The depot_id.", is_category=True, is_required=True, example="N"),
        Column("weight_kg", "real", "The weight_kg.", unit="kg", minimum=0, example=1.25),
    )
    assert [one.name for one in found.features][:3] == ["depot_id", "n_ahead", "weight_kg"]
    assert found.batch_sql == "select * from parcel_features"


def test_a_not_null_constraint_makes_a_column_required() -> None:
    world = manifest()
    spine = world["nodes"]["model.parcels.parcel_spine"]
    spine["columns"]["weight_kg"]["constraints"] = [{"type": "not_null"}]
    assert columns_of(world, "parcel_spine")[-1].is_required


def _spineless(nodes: Nodes) -> None:
    nodes["model.parcels.parcel_features"]["depends_on"]["nodes"].remove("model.parcels.parcel_spine")


def _untyped(nodes: Nodes) -> None:
    nodes["model.parcels.parcel_features"]["columns"]["n_ahead"]["data_type"] = None


def _strange(nodes: Nodes) -> None:
    nodes["model.parcels.parcel_features"]["columns"]["n_ahead"] = column("n_ahead", "struct(a int)")


def _other_key(nodes: Nodes) -> None:
    nodes["model.parcels.parcel_spine"]["config"]["meta"]["key"] = "box"


def _unread(nodes: Nodes) -> None:
    nodes["model.parcels.parcel_features"]["depends_on"]["nodes"].append("model.parcels.parcel_labels")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_spineless, "its spine"),
        (_untyped, "'n_ahead' has no data_type"),
        (_strange, "data_type 'struct(a int)'"),
        (_other_key, "must be 'parcel_id'"),
        (_unread, "parcel_labels"),
    ],
)
def test_what_a_manifest_lacks_is_named(damage: Callable[[Nodes], None], told: str) -> None:
    world = manifest()
    damage(world["nodes"])
    with pytest.raises(ManifestUnfit, match=r"parcel_") as refused:
        FeatureDefinition.from_manifest(world, "parcel_features", ONLINE_SQL)
    assert told in str(refused.value)


def test_an_unknown_table_names_the_nearest() -> None:
    with pytest.raises(ManifestUnfit, match="'parcel_features'"):
        columns_of(manifest(), "parcel_feature")

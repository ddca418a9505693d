"""A small synthetic world with every awkward thing in it: will a parcel come late?

400 parcels a day over 30 days; not flights, since the library must not know what it predicts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from ml.declaration import ModelDeclaration
from ml.errors import Uncertified
from ml.feature_definition import FeatureDefinition

FIRST_DAY = date(2024, 2, 20)
N_DAYS = 30
PER_DAY = 400
ONLINE_SQL = "select request_row, parcel_id from request asof join online.int_depots as found on true\n"

DECLARED: dict[str, Any] = {
    "name": "late_parcel",
    "entity": "parcel",
    "task": "binary",
    "features": {
        "table": "parcel_features",
        "columns": [
            "depot_id",
            "n_ahead",
            "weight_kg",
            "price",
            "is_express",
            "depot_delay_mean_3h_min",
            "never",
        ],
        "may_be_missing": ["never"],
    },
    "label": {"table": "parcel_labels", "column": "is_late", "train_only_where": "has_van"},
    "split": {"holdout_days": 8},
    "engine": {
        "name": "lightgbm",
        "seed": 7,
        "parameters": {
            "num_iterations": 30,
            "num_leaves": 15,
            "learning_rate": 0.1,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "feature_fraction": 0.8,
        },
    },
    "gate": {"floor": {"roc_auc": 0.7}, "against_champion": {"metric": "roc_auc", "max_drop": 0.002}},
    "retrain": {"after_new_days": 7},
}
SLICES = {"columns": ["depot_id", "n_ahead", "is_express"], "min_rows": 50}


def declared(**changes: Any) -> ModelDeclaration:
    """The declaration with parts replaced."""
    return ModelDeclaration.parse({**DECLARED, **changes})


def using(columns: list[str]) -> dict[str, Any]:
    """The declared features, of these columns alone."""
    return {"table": DECLARED["features"]["table"], "columns": columns}


def column(name: str, data_type: str, **meta: Any) -> dict[str, Any]:
    """A column as dbt's manifest has it."""
    return {"name": name, "data_type": data_type, "description": f"The {name}.", "config": {"meta": meta}}


def model(
    name: str, columns: list[dict[str, Any]], parents: Sequence[str] = (), **meta: Any
) -> dict[str, Any]:
    """A node as dbt's manifest has it."""
    return {
        "name": name,
        "resource_type": "model",
        "raw_code": f"select * from {name}",
        "columns": {one["name"]: one for one in columns},
        "config": {"meta": meta},
        "depends_on": {"nodes": [f"model.parcels.{parent}" for parent in parents]},
    }


def manifest() -> dict[str, Any]:
    """What dbt would say about this world."""
    identity = [column("parcel_id", "varchar"), column("prediction_at", "timestamp"), column("day", "date")]
    nodes = [
        model(
            "parcel_spine",
            [
                *identity,
                column("depot_id", "varchar", category=True, required=True, example="N"),
                column("weight_kg", "decimal(6,3)", unit="kg", minimum=0, example=1.25),
            ],
            entity="parcel",
            key="parcel_id",
        ),
        model("int_depots", [column("depot_id", "varchar"), column("known_at", "timestamp")]),
        model(
            "parcel_features",
            [
                *identity,
                column("depot_id", "varchar", category=True),
                column("n_ahead", "bigint"),
                column("weight_kg", "decimal(6,3)", unit="kg"),
                column("price", "real"),
                column("is_express", "boolean"),
                column("depot_delay_mean_3h_min", "double", unit="min"),
                column("never", "double"),
                column("note", "varchar"),
            ],
            parents=["parcel_spine", "int_depots"],
            entity="parcel",
        ),
        model("parcel_labels", [column("is_late", "boolean"), column("has_van", "boolean")], entity="parcel"),
    ]
    return {"nodes": {f"model.parcels.{node['name']}": node for node in nodes}}


def definition() -> FeatureDefinition:
    """The feature definition of this world."""
    return FeatureDefinition.from_manifest(manifest(), "parcel_features", ONLINE_SQL)


def features(n_days: int = N_DAYS, seed: int = 1) -> pa.Table:
    """Feature rows in no order: nulls, NaN, a category seen only in the last days, a column never filled."""
    rng = np.random.default_rng(seed)
    n = n_days * PER_DAY
    day = np.repeat(np.arange(n_days), PER_DAY)
    at = [
        datetime(2024, 2, 20) + timedelta(days=int(d), minutes=int(m))
        for d, m in zip(day, rng.integers(0, 90, n), strict=True)
    ]
    depot = rng.choice(["N", "S", "W", "Ö"], n, p=[0.5, 0.3, 0.15, 0.05]).astype(object)
    depot[(day >= n_days - 4) & (rng.random(n) < 0.1)] = "new"
    depot[rng.random(n) < 0.02] = None
    delay = rng.gamma(2, 5, n)
    delay[rng.random(n) < 0.1] = np.nan
    ahead = pa.array(rng.integers(0, 200, n), pa.int64(), mask=rng.random(n) < 0.05)
    table = pa.table(
        {
            "parcel_id": [f"P{number:06d}" for number in rng.permutation(n)],
            "prediction_at": pa.array(at, pa.timestamp("us")),
            "day": pa.array([FIRST_DAY + timedelta(days=int(d)) for d in day], pa.date32()),
            "depot_id": pa.array(depot, pa.string()),
            "n_ahead": ahead,
            "weight_kg": pa.array(
                [Decimal(int(w)) / 1000 for w in rng.integers(1, 30000, n)], pa.decimal128(6, 3)
            ),
            "price": pa.array(rng.random(n).astype(np.float32)),
            "is_express": pa.array(rng.random(n) < 0.3, mask=rng.random(n) < 0.01),
            "depot_delay_mean_3h_min": pa.array(delay),
            "never": pa.nulls(n, pa.float64()),
        }
    )
    return table.take(rng.permutation(n))


def labels(of: pa.Table, seed: int = 2) -> pa.Table:
    """Labels of most parcels: late where the depot is, and none at all yet for some of the last day."""
    rng = np.random.default_rng(seed)
    delay = of["depot_delay_mean_3h_min"].fill_null(8).to_numpy()
    ahead = of["n_ahead"].cast(pa.float64()).fill_null(100).to_numpy()
    south = np.array([depot in ("S", "new") for depot in of["depot_id"].to_pylist()])
    odds = -2.5 + np.nan_to_num(delay, nan=8) * 0.12 + ahead / 150 + south * 0.8
    is_late = rng.random(of.num_rows) < 1 / (1 + np.exp(-odds))
    has_van = rng.random(of.num_rows) > 0.03
    last = of["day"].to_numpy() == of["day"].to_numpy().max()
    unknown = (last & (rng.random(of.num_rows) < 0.2)) | (rng.random(of.num_rows) < 0.01)
    return pa.table(
        {
            "parcel_id": of["parcel_id"],
            "day": of["day"],
            "is_late": pa.array(is_late | ~has_van, mask=unknown),
            "has_van": pa.array(has_van),
        }
    ).take(rng.permutation(of.num_rows))


@dataclass(frozen=True)
class Edition:
    """One state of all tables."""

    id: int
    snapshots: Mapping[str, int]


@dataclass
class Tables:
    """Published tables held in memory: each edition keeps the tables as they were."""

    editions: list[dict[str, pa.Table]] = field(default_factory=list)
    uncertified: dict[tuple[str, date], str] = field(default_factory=dict)

    def publish(self, **tables: pa.Table) -> Edition:
        """Replace tables and record an edition."""
        self.editions.append({**(self.editions[-1] if self.editions else {}), **tables})
        return self.edition()

    def edition(self, id: int | None = None) -> Edition:
        """The newest, or one by number from 1."""
        number = id or len(self.editions)
        return Edition(number, {name: 1000 * number + i for i, name in enumerate(self.editions[number - 1])})

    def read(
        self,
        table: str,
        *,
        edition: Edition,
        columns: Sequence[str] | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> pa.Table:
        """Rows of the days, in chunks as a lake gives them."""
        rows = self.editions[edition.id - 1][table]
        days = rows["day"].to_numpy()
        kept = (days >= np.datetime64(first_day or date.min)) & (days <= np.datetime64(last_day or date.max))
        found = rows.filter(pa.array(kept))
        found = pa.concat_tables([found.slice(0, 777), found.slice(777)])
        return found.select(columns) if columns else found

    def refuse_uncertified(
        self, table: str, days: Sequence[date], *, edition: Edition, code: str | None = None
    ) -> None:
        """Refuse the days that are noted as such."""
        found = {day: self.uncertified[table, day] for day in days if (table, day) in self.uncertified}
        if found:
            raise Uncertified(table, edition.id, found)


def world(n_days: int = N_DAYS) -> Tables:
    """Both tables, published once."""
    rows = features(n_days)
    tables = Tables()
    tables.publish(parcel_features=rows, parcel_labels=labels(rows))
    return tables

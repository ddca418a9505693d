"""A small model about taxi trips, not flights: what the endpoint does must not depend on the entity."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from ml.bundle import Bundle
from ml.declaration import ModelDeclaration
from ml.feature_definition import Column, FeatureDefinition
from ml.training import train
from ml.training_set import Manifest, Part, Selection, TrainingSet

MODEL = "long_trip"
ZONES = ("airport", "centre", "harbour")
FIRST = datetime(2024, 3, 1)
N_DAYS = 5

REQUEST = (
    Column("driver_id", "text", "Who drives", is_required=True, example="d1"),
    Column("zone_id", "text", "Where the trip starts", is_required=True, example="centre"),
    Column("passengers", "integer", "People in the car", unit="people", minimum=1, maximum=8, example=2),
    Column(
        "starts_at", "timestamp", "When the trip starts", is_required=True, example="2024-03-01T12:00:00Z"
    ),
)
FEATURES = (
    Column("zone_id", "text", "Where the trip starts", is_category=True),
    Column("passengers", "integer", "People in the car", unit="people"),
    Column("starts_hour", "integer", "Hour of the day, UTC", unit="h"),
    Column("speed_mean_kmh", "real", "Mean speed last measured in the zone", unit="km/h"),
)
ONLINE_SQL = """
with spine as (
    select
        request_row,
        driver_id || '-' || strftime(starts_at, '%Y%m%dT%H%MZ') as trip_id,
        starts_at - interval 1 hour as prediction_at,
        cast(starts_at as date) as day,
        zone_id,
        passengers,
        starts_at
    from request
),

zone as (
    select spine.*, speed.speed_mean_kmh
    from spine
    asof left join online.int_zone_speed as speed
        on spine.zone_id = speed.zone_id and spine.prediction_at >= speed.known_at
)

select
    request_row,
    trip_id,
    prediction_at,
    day,
    zone_id,
    passengers,
    hour(starts_at) as starts_hour,
    speed_mean_kmh
from zone
"""

DEFINITION = FeatureDefinition(
    table="trip_features",
    entity="trip",
    key="trip_id",
    request=REQUEST,
    features=FEATURES,
    online_sql=ONLINE_SQL,
    batch_sql=ONLINE_SQL,
    online_tables=("int_zone_speed",),
)


# By task: the metric its gate names.
TASKS = {"binary": "roc_auc", "regression": "r2", "multiclass": "accuracy", "ranking": "ndcg"}


def declaration(
    seed: int = 1, task: str = "binary", engine: str = "lightgbm", calibration: str | None = None
) -> ModelDeclaration:
    """Another seed is another version of the same model."""
    parameters = {"num_iterations": 10, "num_leaves": 7, "bagging_fraction": 0.7, "bagging_freq": 1}
    group = {"group": "shift_id"} if task == "ranking" else {}
    metric = TASKS[task]
    return ModelDeclaration.parse(
        {
            "name": MODEL,
            "entity": "trip",
            "task": task,
            "features": {"table": "trip_features", "columns": [column.name for column in FEATURES]},
            "label": {"table": "trip_labels", "column": "is_long", **group},
            "split": {"train_until": "2024-03-03", "test_from": "2024-03-04"},
            "engine": {
                "name": engine,
                "seed": seed,
                "parameters": parameters if engine == "lightgbm" else {},
            },
            "gate": {"floor": {metric: 0.5}, "against_champion": {"metric": metric, "max_drop": 0.5}},
            "retrain": {"after_new_days": 1},
            "calibration": {"method": calibration, "days": 1} if calibration else None,
        }
    )


def bundle(
    seed: int = 1,
    task: str = "binary",
    engine: str = "lightgbm",
    calibration: str | None = None,
    name: str = MODEL,
) -> Bundle:
    """A trained model of a few trees."""
    return bundle_of(declaration(seed, task, engine, calibration).model_copy(update={"name": name}))


def bundle_of(declared: ModelDeclaration) -> Bundle:
    """What a declaration gives on rows that are always the same."""
    task = declared.task
    rng = np.random.default_rng(0)
    n = 400
    speed = rng.uniform(5, 60, n)
    rows = pa.table(
        {
            "day": pa.array([date(2024, 3, 1 + 3 * n_th // n) for n_th in range(n)]),
            "zone_id": rng.choice(ZONES, n),
            "passengers": rng.integers(1, 9, n),
            "starts_hour": rng.integers(0, 24, n),
            "speed_mean_kmh": speed,
            "is_long": _labels(task, speed + rng.normal(0, 15, n)),
            "shift_id": np.arange(n) // 20,
        }
    )
    part = Part(date(2024, 3, 1), date(2024, 3, 3), 3, n, 0.5, "0" * 64)
    selection = Selection(MODEL, "trip_id", "trip_features", (), "trip_labels", "is_long", None)
    manifest = Manifest(selection, 1, {"trip_features": 1}, part, part)
    return train(TrainingSet(rows, rows, manifest), declared, DEFINITION, threads=1)


def _labels(task: str, speed: np.ndarray) -> pa.Array:
    if task == "binary":
        return pa.array(speed < 25)
    if task == "regression":
        return pa.array(1000 / np.maximum(speed, 5))
    grades = np.digitize(speed, [20, 40])
    return pa.array(grades if task == "ranking" else np.array(["fast", "fair", "slow"])[grades])


def zone_speed(n_days: int = N_DAYS, shift_kmh: float = 0.0) -> pa.Table:
    """A measurement an hour and zone; the newest is known at the last hour of the last day."""
    hours = n_days * 24
    known = [FIRST + timedelta(hours=hour) for hour in range(hours) for _ in ZONES]
    speeds = [
        10.0 + 10 * place + hour % 24 + shift_kmh for hour in range(hours) for place in range(len(ZONES))
    ]
    return pa.table(
        {
            "day": pa.array([at.date() for at in known], pa.date32()),
            "zone_id": list(ZONES) * hours,
            "known_at": pa.array(known, pa.timestamp("us")),
            "speed_mean_kmh": speeds,
        }
    )


def instance(hours: float = 0, **changed: object) -> dict[str, object]:
    """A trip that starts so many hours after noon of the last day."""
    at = FIRST.replace(hour=12, tzinfo=UTC) + timedelta(days=N_DAYS - 1, hours=hours)
    plain = {"driver_id": "d1", "zone_id": "centre", "passengers": 2, "starts_at": at.isoformat()}
    return {name: value for name, value in (plain | changed).items() if value is not ...}

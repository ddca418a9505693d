"""From a published feature table to a bundle in the registry, beside bare LightGBM on the same matrix.

The platform reads, joins, sorts, hashes, codes, trains, describes and stores; the bare process is given the
finished matrix as a file, with the rows in the same order, and only trains and saves. Both have all cores.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.measure import Cost, middle, run, show
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.feature_definition import Column, FeatureDefinition
from ml.lake.published import Certificate, PublishBatch, Published
from ml.lean_import import without
from ml.registry import Registry
from ml.scoring import as_matrix, encode
from ml.settings import Settings
from ml.training import train
from ml.training_set import assemble

FIRST = date(2024, 1, 1)
N_DAYS, TESTED_DAYS = 200, 1
REALS = tuple(f"real_{n:02d}" for n in range(14))
INTEGERS = tuple(f"count_{n}" for n in range(4))
CATEGORIES = ("zone_id", "driver_id")
COLUMNS = (*REALS, *INTEGERS, *CATEGORIES)
PARAMETERS = {"num_iterations": 100, "learning_rate": 0.1, "num_leaves": 63, "max_bin": 255}
SEED = 7


def main() -> None:
    """A million rows, three times each."""
    compare(1_000_000, rounds=3)


def ten_million() -> None:
    """Ten million rows, once each: 6 GB of memory and some minutes."""
    compare(10_000_000, rounds=1)


def compare(n_rows: int, rounds: int) -> None:
    """Publish rows, then train both ways in turn, and print the medians and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(Path(folder))
        run("benchmarks.training", "publish", str(n_rows), settings=settings)
        run("benchmarks.training", "hand_out", settings=settings)
        costs: dict[str, list[Cost]] = {"platform": [], "bare": []}
        for _ in range(rounds):
            for name, spent in costs.items():
                spent.append(run("benchmarks.training", name, settings=settings))
        same = (settings.home / "bare.txt").read_text() == (settings.home / "platform.txt").read_text()
    ours, bare = middle(costs["platform"]), middle(costs["bare"])
    rows = [_row("feature table to bundle", ours), _row("bare LightGBM, from the matrix", bare)]
    ratios = Cost(ours.cpu_s / bare.cpu_s, ours.wall_s / bare.wall_s, ours.peak_mb / bare.peak_mb)
    told = "the same trees" if same else "OTHER TREES"
    title = f"training: {n_rows:,} rows, {len(COLUMNS)} features, median of {rounds}, {told}"
    show(title, [*rows, _row("ratio", ratios)])


def publish(settings: Settings, n_rows: int) -> None:
    """Features and labels of all days, certified, ten days at a time."""
    published, per_day = Published(settings), n_rows // N_DAYS
    certificate = Certificate(run="benchmark", required=(), passed=(), code="benchmark")
    for first in range(0, N_DAYS, 10):
        features, labels = _rows(first, 10, per_day)
        days = FIRST + timedelta(days=first), FIRST + timedelta(days=first + 9)
        batches = {
            name: PublishBatch(rows, *days, certificate=certificate)
            for name, rows in (("trip_features", features), ("trip_labels", labels))
        }
        published.publish(batches)


def hand_out(settings: Settings) -> None:
    """The finished matrix of the training rows, as any tool could have written it."""
    rows = assemble(Published(settings), _declaration()).train
    contract = Contract.learn(_declaration(), _definition(), rows)
    np.save(settings.home / "matrix.npy", as_matrix(encode(rows, contract)))
    np.save(settings.home / "label.npy", rows["is_long"].to_numpy().astype(np.float32))


def platform(settings: Settings) -> None:
    """What `training_set` and `candidate` do."""
    bundle = train(assemble(Published(settings), _declaration()), _declaration(), _definition())
    Registry(settings.registry).put(bundle)
    (settings.home / "platform.txt").write_text(bundle.fitted)


def bare(settings: Settings) -> None:
    """The same with nothing around it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with without("sklearn", "pandas", "matplotlib", "graphviz", "dask", "distributed", "cffi"):
        import lightgbm
    parameters = {**PARAMETERS, "objective": "binary", "seed": SEED, "verbosity": -1}
    parameters |= {"deterministic": True, "force_col_wise": True}
    rounds = parameters.pop("num_iterations")
    codes = [len(REALS) + len(INTEGERS) + n for n in range(len(CATEGORIES))]
    rows = lightgbm.Dataset(
        np.load(settings.home / "matrix.npy"),
        label=np.load(settings.home / "label.npy"),
        feature_name=list(COLUMNS),
        categorical_feature=codes,
        params=parameters,
    )
    text = lightgbm.train(parameters, rows, rounds).model_to_string()
    (settings.home / "bare.txt").write_text(text.partition("\nparameters:")[0] + "\n")


def _rows(first: int, n_days: int, per_day: int) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng([SEED, first])
    n = n_days * per_day
    day = np.repeat(np.arange(first, first + n_days), per_day)
    at = np.datetime64(datetime(FIRST.year, 1, 1), "us") + day * np.timedelta64(86_400_000_000, "us")
    at = at + rng.integers(0, 86_400, n) * np.timedelta64(1_000_000, "us")
    reals = {name: pa.array(rng.normal(size=n), mask=rng.random(n) < 0.1) for name in REALS}
    counts = {name: pa.array(rng.integers(0, 300, n, dtype=np.int32)) for name in INTEGERS}
    zones, drivers = rng.integers(0, 20, n), rng.integers(0, 300, n)
    odds = sum(reals[name].fill_null(0).to_numpy() for name in REALS[:6]) + (zones % 3) - 2
    keys = pa.array([f"T{number:09d}" for number in first * per_day + rng.permutation(n)])
    days = pa.array(np.datetime64(FIRST) + day)
    features = pa.table(
        {
            "trip_id": keys,
            "prediction_at": pa.array(at),
            "day": days,
            **reals,
            **counts,
            "zone_id": pa.array([f"z{code}" for code in range(20)]).take(pa.array(zones)),
            "driver_id": pa.array([f"d{code}" for code in range(300)]).take(pa.array(drivers)),
        }
    )
    is_long = pa.array(rng.random(n) < 1 / (1 + np.exp(-odds)))
    return features, pa.table({"trip_id": keys, "day": days, "is_long": is_long})


def _declaration() -> ModelDeclaration:
    declared: dict[str, Any] = {
        "name": "long_trip",
        "entity": "trip",
        "task": "binary",
        "features": {"table": "trip_features", "columns": list(COLUMNS)},
        "label": {"table": "trip_labels", "column": "is_long"},
        "split": {"holdout_days": TESTED_DAYS},
        "engine": {"name": "lightgbm", "seed": SEED, "parameters": PARAMETERS},
        "gate": {"floor": {"roc_auc": 0.5}, "against_champion": {"metric": "roc_auc", "rule": "not_worse"}},
        "retrain": {"after_new_days": 1},
    }
    return ModelDeclaration.parse(declared)


def _definition() -> FeatureDefinition:
    return FeatureDefinition(
        table="trip_features",
        entity="trip",
        key="trip_id",
        request=(),
        features=tuple(_columns()),
        online_sql="select 1",
        batch_sql="select 1",
        online_tables=(),
    )


def _columns() -> Iterator[Column]:
    yield from (Column(name, "real", "A number.") for name in REALS)
    yield from (Column(name, "integer", "A count.") for name in INTEGERS)
    yield from (Column(name, "text", "A name.", is_category=True) for name in CATEGORIES)


def _row(what: str, cost: Cost) -> dict[str, object]:
    return {"": what, "CPU s": cost.cpu_s, "wall s": cost.wall_s, "peak MB": cost.peak_mb}


def _settings(folder: Path) -> Settings:
    environment = {"HEADWATER_HOME": str(folder / "home"), "HEADWATER_LANDING": str(folder / "landing")}
    os.environ |= environment
    settings = Settings.from_env(Path(__file__).parents[1])
    settings.home.mkdir(parents=True)
    return settings


if __name__ == "__main__":
    asked, *given = sys.argv[1:]
    steps = {"hand_out": hand_out, "platform": platform, "bare": bare}
    if asked == "publish":
        publish(Settings.from_env(), int(given[0]))
    else:
        steps[asked](Settings.from_env())
    print(json.dumps(asked))

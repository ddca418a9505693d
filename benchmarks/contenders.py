"""Each way to look features up at a point in time: load its inputs, join, hand over an Arrow table.

`python -m benchmarks.contenders <name> <folder>` in the environment that has the other tools prints what
loading and joining took. Which lookups are asked is not said here, nor are answers compared.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.lookups import ANSWER_COLUMNS, LOOKUPS, QUESTION_COLUMNS, QUESTIONS

Load = Callable[[Path], Any]
Join = Callable[[Any], Any]
WANTED = ["flight_id", "prediction_at", *ANSWER_COLUMNS]
REPEATS = {"feast": 1}  # it takes minutes; the others 3


def load_platform(folder: Path) -> Any:
    """The platform's tables in DuckDB's memory, under the names that the compiled SQL has."""
    import duckdb

    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'; attach ':memory:' as workshop")
    for schema, table in _tables():
        con.execute(f"create schema if not exists workshop.{schema}")
        con.execute(f"create table workshop.{schema}.{table} as from '{folder / table}.parquet'")
    return con, (folder / "platform.sql").read_text()


def load_workshop(folder: Path) -> Any:
    """The platform's tables where they are: in the workshop's file."""
    import duckdb

    con = duckdb.connect(str(folder / "workshop.duckdb"), read_only=True)
    con.execute("set TimeZone = 'UTC'")
    return con, (folder / "platform.sql").read_text()


def join_platform(loaded: Any) -> Any:
    """The compiled `as_of` SQL."""
    con, sql = loaded
    return con.execute(sql).to_arrow_table()


def load_feast(folder: Path) -> Any:
    """The questions; Feast's DuckDB offline store reads the tables' files itself, whenever it is asked."""
    import pandas as pd

    asked = pd.read_parquet(folder / f"{QUESTIONS}.parquet", columns=list(QUESTION_COLUMNS))
    return _feature_store(folder), asked.rename(columns={"prediction_at": "event_timestamp"})


def join_feast(loaded: Any) -> Any:
    """`get_historical_features` with one feature view a lookup, its time to live the lookup's bound."""
    store, asked = loaded
    features = [f"{lookup.table}:{name}" for lookup in LOOKUPS for name in lookup.columns]
    found = store.get_historical_features(entity_df=asked.copy(), features=features).to_arrow()
    names = ["prediction_at" if name == "event_timestamp" else name for name in found.column_names]
    return found.rename_columns(names).select(WANTED)


def _feature_store(folder: Path) -> Any:
    import pyarrow.parquet as pq
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64, Int32, Int64, String, UnixTimestamp

    types = {
        "double": Float64,
        "int32": Int32,
        "int64": Int64,
        "string": String,
        "timestamp[us]": UnixTimestamp,
    }
    config = RepoConfig(
        project="features",
        provider="local",
        registry=str(folder / f"feast-{os.getpid()}.db"),
        offline_store={"type": "duckdb"},
        online_store=None,
        entity_key_serialization_version=3,
    )
    declared = []
    for lookup in LOOKUPS:
        file = folder / f"feast_{lookup.table}.parquet"
        schema = pq.read_schema(file)
        entity = Entity(name=lookup.key, join_keys=[lookup.key], value_type=ValueType.STRING)
        view = FeatureView(
            name=lookup.table,
            entities=[entity],
            ttl=timedelta(hours=lookup.within_h),
            schema=[Field(name=name, dtype=types[str(schema.field(name).type)]) for name in lookup.columns],
            source=FileSource(name=lookup.table, path=str(file), timestamp_field="known_at"),
            online=False,
        )
        declared += [entity, view]
    store = FeatureStore(config=config)
    store.apply(declared)
    return store


def load_pandas(folder: Path) -> Any:
    """The tables as data frames, columns named as the answers are."""
    import pandas as pd

    asked = pd.read_parquet(folder / f"{QUESTIONS}.parquet", columns=list(QUESTION_COLUMNS))
    answers = []
    for lookup in LOOKUPS:
        names = {column: name for name, column in lookup.columns.items()} | {lookup.table_key: lookup.key}
        rows = pd.read_parquet(folder / f"{lookup.table}.parquet", columns=[*names, "known_at"])
        answers.append(rows.rename(columns=names))
    return asked, answers


def join_pandas(loaded: Any) -> Any:
    """`merge_asof` by key, both sides sorted by time, which it needs."""
    import pandas as pd
    import pyarrow as pa

    asked, answers = loaded
    found = asked.sort_values("prediction_at")
    for lookup, rows in zip(LOOKUPS, answers, strict=True):
        found = pd.merge_asof(
            found,
            rows.sort_values("known_at"),
            left_on="prediction_at",
            right_on="known_at",
            by=lookup.key,
            tolerance=pd.Timedelta(hours=lookup.within_h),
        ).drop(columns="known_at")
    return pa.Table.from_pandas(found[WANTED], preserve_index=False)


def load_polars(folder: Path) -> Any:
    """The tables as data frames, columns named as the answers are."""
    import polars as pl

    asked = pl.read_parquet(folder / f"{QUESTIONS}.parquet", columns=list(QUESTION_COLUMNS))
    answers = []
    for lookup in LOOKUPS:
        names = {column: name for name, column in lookup.columns.items()} | {lookup.table_key: lookup.key}
        rows = pl.read_parquet(folder / f"{lookup.table}.parquet", columns=[*names, "known_at"])
        answers.append(rows.rename(names))
    return asked, answers


def join_polars(loaded: Any) -> Any:
    """`join_asof` by key, both sides sorted by time, which it needs."""
    asked, answers = loaded
    found = asked.sort("prediction_at")
    for lookup, rows in zip(LOOKUPS, answers, strict=True):
        found = found.join_asof(
            rows.sort("known_at"),
            left_on="prediction_at",
            right_on="known_at",
            by=lookup.key,
            tolerance=timedelta(hours=lookup.within_h),
        ).drop("known_at")
    return found.select(WANTED).to_arrow()


CONTENDERS: dict[str, tuple[Load, Join]] = {
    "platform": (load_platform, join_platform),
    "workshop": (load_workshop, join_platform),
    "feast": (load_feast, join_feast),
    "pandas": (load_pandas, join_pandas),
    "polars": (load_polars, join_polars),
}


def _tables() -> list[tuple[str, str]]:
    return [("features", QUESTIONS), *(("intermediate", lookup.table) for lookup in LOOKUPS)]


def main(name: str, folder: Path) -> None:
    """Load and join several times after once unmeasured; print the times, keep the last answer."""
    import pyarrow.parquet as pq

    load, join = CONTENDERS[name]
    spent = []
    for n in range(REPEATS.get(name, 3) + 1):
        loaded, loading = _timed(lambda: load(folder))
        found, joining = _timed(partial(join, loaded))
        if n:
            spent.append({"load": loading, "join": joining})
    pq.write_table(found, folder / f"answers_{name}.parquet")
    print(json.dumps(spent))


def _timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What `work` gives, and its CPU and wall seconds."""
    cpu, wall = time.process_time(), time.monotonic()
    result = work()
    return result, (time.process_time() - cpu, time.monotonic() - wall)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], Path(sys.argv[2]))

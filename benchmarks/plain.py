"""The same SQL and the same training with the bare libraries: no Dagster, no dbt, no lake, no registry.

One script, one DuckDB file, one process: what the platform's whole graph is held against.
"""

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from ml.lean_import import without
from ml.settings import Settings
from ml.sources import clocks
from ml.sources.catalogue import declared_sources
from ml.sources.checking import typed_rows
from ml.sources.declaration import CsvFormat, Source


def main(plan: Path, database: Path) -> None:
    """Do what `plan` (JSON: sources, tables, tests, model) says and print the metrics as JSON."""
    told = json.loads(plan.read_text())
    settings = Settings.from_env()
    con = duckdb.connect(str(database))
    con.execute("set TimeZone='UTC'; create schema raw")
    sources = {source.name: source for source in declared_sources(settings.project)}
    for name in told["sources"]:
        take_in(con, sources[name], settings.landing)
    for table in told["tables"]:
        con.execute(f"create schema if not exists {table['schema']}")
        con.execute(f"create {table['kind']} {table['schema']}.{table['name']} as {table['sql']}")
    for test in told["tests"]:
        con.execute(test).fetchall()
    print(json.dumps(train(con, told["model"])))


def take_in(con: duckdb.DuckDBPyConnection, source: Source, landing: Path) -> None:
    """Read a source's files with DuckDB and type its rows by the source's own expressions."""
    files = sorted(str(path) for path in (landing / source.name).glob("*.csv"))
    cells = ", ".join(f'"{column.in_file}" as _cell_{i}' for i, column in enumerate(source.columns))
    assert isinstance(source.format, CsvFormat)
    nulls = [value for value in source.format.null_values if value]
    con.execute(
        f"create or replace temp table _cells as select {cells}, filename as _file, "
        "row_number() over () as row_number "
        "from read_csv($files, all_varchar = true, nullstr = $nulls, filename = true)",
        {"files": files, "nulls": nulls or [""]},
    )
    day = r"try_cast(regexp_extract(_file, '([^/]+)\.csv$', 1) as date)"
    con.execute(
        f"create or replace temp table _batch as select distinct _file, {day} as day, "
        "_file as source_file_id, timestamp '2013-01-01' as loaded_at, false as is_correction from _cells"
    )
    zones: set[str] = set()
    for lookup in source.lookups:
        ever = "'-infinity'::timestamp as since, 'infinity'::timestamp as until"
        also = "".join(f" union all select '{key}', '{value}', {ever}" for key, value in lookup.also.items())
        con.execute(
            f"create or replace temp table _lookup_{lookup.name} as "
            f"select {lookup.key} as key, {lookup.value} as value, {ever} from raw.{lookup.source}{also}"
        )
        zones |= {
            v for (v,) in con.execute(f"select distinct value from _lookup_{lookup.name}").fetchall() if v
        }
    clocks.install(con, zones)
    names = ", ".join(source.raw_columns())
    con.execute(f"create table raw.{source.name} as select {names} from ({typed_rows(source)}) where _good")
    added = [name for name in source.version_columns() if name not in source.raw_columns()]
    never = ", ".join(f"null::timestamp as {name}" for name in added)
    con.execute(f"create view raw.{source.name}_versions as select *, {never} from raw.{source.name}")


def train(con: duckdb.DuckDBPyConnection, model: dict[str, Any]) -> dict[str, float]:
    """Train by the declaration on features joined with labels, and measure on the held-out days."""
    with without("sklearn", "pandas", "matplotlib", "graphviz", "dask", "distributed", "cffi"):
        import lightgbm
    columns, label = model["columns"], model["label"]
    rows = con.execute(
        f"select f.*, l.{label['column']}, l.{label['train_only_where']} as _train "
        f"from {model['features']} as f join {model['labels']} as l using ({model['key']}) "
        f"order by f.prediction_at, f.{model['key']}"
    ).to_arrow_table()
    day = rows["day"].to_numpy()
    held_out = day >= np.unique(day)[-model["holdout_days"]]
    coded = {name: code(rows[name]) for name in columns}
    matrix = np.column_stack([values for values, _ in coded.values()])
    truth = rows[label["column"]].to_numpy().astype(np.float32)
    fit = ~held_out & rows["_train"].to_numpy()
    categories = [i for i, (_, is_category) in enumerate(coded.values()) if is_category]
    parameters = {"objective": "binary", "seed": model["seed"], "deterministic": True, "verbosity": -1}
    parameters |= {"force_col_wise": True} | model["parameters"]
    rounds = parameters.pop("num_iterations", 100)
    data = lightgbm.Dataset(matrix[fit], truth[fit], categorical_feature=categories, free_raw_data=True)
    booster = lightgbm.train(parameters, data, rounds)
    return measure(truth[held_out], booster.predict(matrix[held_out]))


def code(values: Any) -> tuple[np.ndarray, bool]:
    """A column as floats, and whether it was text and is now codes."""
    if str(values.type) in {"string", "large_string"}:
        dictionary = values.combine_chunks().dictionary_encode()
        codes = dictionary.indices.to_numpy(zero_copy_only=False).astype(np.float64)
        return codes, True
    return values.cast("float64").to_numpy(), False


def measure(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """The metrics that the platform reports."""
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    metrics = {
        "roc_auc": roc_auc_score,
        "pr_auc": average_precision_score,
        "log_loss": log_loss,
        "brier": brier_score_loss,
    }
    return {name: round(float(metric(truth, scores)), 5) for name, metric in metrics.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

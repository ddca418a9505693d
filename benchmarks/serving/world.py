"""What is served in the benchmark: the flights' model at two sizes, and the same rows for whoever is asked.

What is measured, and who is asked, is not said here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from assets.components.model_steps import Steps
from assets.components.prediction_model import declared_models
from assets.dbt_runner import DbtRunner
from assets.resources import Platform
from benchmarks.built import UNTIL, project
from benchmarks.measure import run
from headwater.nycflights import land
from ml.bundle import Bundle
from ml.coming import as_instances, coming
from ml.engines import ENGINES
from ml.lake.published import Published
from ml.online import OnlineStore
from ml.packaging import PackedBento, pack
from ml.scoring import as_matrix, encode, score
from ml.settings import Settings
from ml.verification import read

MODEL, N_ROWS, N_LEAVES = "late_arrival", 1000, 63


@dataclass(frozen=True)
class Model:
    """A size of the model: its Bento, its trees as a file, the rows to ask about, and what they score.

    `matrix` has 0 where a value is missing, for peers that take none; `filled` are the scores of that.
    """

    bento: PackedBento
    trees: Path
    entities: Sequence[dict[str, Any]]
    features: Sequence[dict[str, Any]]
    table: pa.Table
    matrix: NDArray[np.float64]
    scores: NDArray[np.float64]
    filled: NDArray[np.float64]
    coded: NDArray[np.float64]

    def alone_ms(self) -> float:
        """What LightGBM itself takes for all rows, coded already, with one thread: median of 15."""
        fitted, took = ENGINES["lightgbm"].load(self.trees.read_text()), []
        for _ in range(15):
            began = perf_counter()
            fitted.predict(self.coded, threads=1)
            took.append(1000 * (perf_counter() - began))
        return median(took)

    @property
    def columns(self) -> list[str]:
        """Names of the matrix's columns."""
        return [f"f{n}" for n in range(self.matrix.shape[1])]


def built(folder: Path) -> Settings:
    """A project of nine months of flights, as `make up` makes it."""
    settings = project(folder)
    land(settings.landing, None, UNTIL)
    run("benchmarks.overhead", "graph", settings=settings)
    return settings


def sized(settings: Settings, n_trees: int) -> Bundle:
    """The flights' model trained on the project's rows with so many trees."""
    (declared,) = [one for one in declared_models(settings.project) if one.name == MODEL]
    engine = declared.declaration.engine
    parameters = {**engine.parameters, "num_iterations": n_trees, "num_leaves": N_LEAVES}
    engine = engine.model_copy(update={"parameters": parameters})
    steps = Steps(declared.declaration.model_copy(update={"engine": engine}), DbtRunner(settings))
    platform = Platform()
    return steps.train(platform, dict(steps.as_value(steps.assemble(platform))), lambda _: None)


def model(settings: Settings, n_trees: int) -> Model:
    """That model, packed, and rows to ask about."""
    bundle = sized(settings, n_trees)
    trees = settings.home / f"trees{n_trees}.txt"
    trees.write_text(bundle.fitted)
    published = Published(settings)
    edition = published.edition()
    store = OnlineStore.from_published(published, edition, bundle.contract.online_tables)
    rows = coming(published, edition, bundle).slice(0, N_ROWS)
    request = rows.select([column.name for column in bundle.contract.request])
    numbered = request.append_column("request_row", pa.array(range(rows.num_rows), pa.int32()))
    found = store.features(numbered, bundle.feature_sql)
    names = [feature.name for feature in bundle.contract.features]
    return _model(
        bundle, pack(settings, bundle), trees, as_instances(bundle.contract, rows), found.select(names)
    )


def _model(
    bundle: Bundle, bento: PackedBento, trees: Path, entities: list[dict[str, Any]], found: pa.Table
) -> Model:
    fitted = read(bundle)
    matrix = as_matrix(encode(found, bundle.contract))
    filled = np.nan_to_num(matrix)
    return Model(
        bento=bento,
        trees=trees,
        entities=entities,
        table=found,
        features=json.loads(json.dumps(found.to_pylist())),
        matrix=filled,
        scores=score(fitted, bundle.contract, found),
        filled=ENGINES["lightgbm"].load(bundle.fitted).predict(filled, threads=1),
        coded=matrix,
    )

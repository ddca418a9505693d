"""Batches: rows of features as Arrow to scores by the platform's path, beside LightGBM on rows coded already.

In turn in one process, with the same threads; what the lookups of features cost is `lookups_online`'s.
"""

import tempfile
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np

from benchmarks.measure import show
from benchmarks.serving.world import built, sized
from ml.engines import ENGINES
from ml.lake.published import Published
from ml.scoring import Scorer, as_matrix, encode

ROUNDS = 5


def main() -> None:
    """All rows of nine months of flights, with models of 160 and 600 trees."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        settings = built(Path(folder) / "project")
        for n_trees in (160, 600):
            bundle = sized(settings, n_trees)
            published = Published(settings)
            columns = [feature.name for feature in bundle.contract.features]
            table = published.read(
                bundle.declaration.features.table, edition=published.edition(), columns=columns
            )
            scorer, bare = Scorer(bundle), ENGINES["lightgbm"].load(bundle.fitted)
            matrix = as_matrix(encode(table, bundle.contract))
            ours, theirs = [], []
            for _ in range(ROUNDS):
                began = process_time()
                found = scorer.score(table)
                between = process_time()
                alone = bare.predict(matrix, threads=1)
                ours.append(between - began)
                theirs.append(process_time() - between)
            assert np.array_equal(found, alone)
            rows.append(
                {
                    "trees": n_trees,
                    "rows": table.num_rows,
                    "platform, rows a CPU second": round(table.num_rows / median(ours)),
                    "LightGBM, rows a CPU second": round(table.num_rows / median(theirs)),
                    "share": median(theirs) / median(ours),
                }
            )
    show(f"batch: median of {ROUNDS}", rows)

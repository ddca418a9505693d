"""A plain model on the same training rows: what a candidate must be worth more than.

It is fitted for an evaluation and kept nowhere; which engine it is stands in `ml.engines`.
"""

import numpy as np
import pyarrow as pa

from ml.bundle import Bundle
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.engines import BASELINE, ENGINES
from ml.engines.protocol import Fitted
from ml.labels import by_group, labels_of, target_of
from ml.scoring import encode
from ml.training_set import TrainingSet

# More rows hardly change so plain a model (ROC AUC 0.7597 with 100,000 flights, 0.7607 with 226,000).
MAX_ROWS = 100_000


def fit_baseline(training_set: TrainingSet, bundle: Bundle) -> Fitted:
    """Fit the baseline's engine, with its own parameters, on a candidate's features.

    Of many rows 100,000 are taken, evenly over time; of a ranking all, since its groups belong together.
    """
    return fit_plain(bundle.declaration, bundle.contract, training_set.train)


def fit_plain(declaration: ModelDeclaration, contract: Contract, train: pa.Table) -> Fitted:
    """The same on rows to train on, with a contract that was learned of them."""
    rows = by_group(declaration, train)
    if declaration.label.group is None:
        rows = _thinned(rows)
    labels = labels_of(declaration, rows, "train", contract.classes)
    return ENGINES[BASELINE].fit(
        encode(rows, contract),
        target_of(declaration, labels, contract.classes),
        categories=contract.categories,
        seed=declaration.engine.seed,
        parameters={},
        threads=1,
    )


def _thinned(rows: pa.Table) -> pa.Table:
    if rows.num_rows <= MAX_ROWS:
        return rows
    return rows.take(np.linspace(0, rows.num_rows - 1, MAX_ROWS).astype(np.int64))

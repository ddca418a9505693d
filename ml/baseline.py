"""A plain model on the same training rows: what a candidate must be worth more than.

It is fitted for an evaluation and kept nowhere; which engine it is stands in `ml.engines`.
"""

from ml.bundle import Bundle
from ml.engines import BASELINE, ENGINES
from ml.engines.protocol import Fitted
from ml.labels import by_group, labels_of, target_of
from ml.scoring import encode
from ml.training_set import TrainingSet


def fit_baseline(training_set: TrainingSet, bundle: Bundle) -> Fitted:
    """Fit the baseline's engine, with its own parameters, on the rows and features of a candidate."""
    declaration, contract = bundle.declaration, bundle.contract
    rows = by_group(declaration, training_set.train)
    labels = labels_of(declaration, rows, "train", contract.classes)
    return ENGINES[BASELINE].fit(
        encode(rows, contract),
        target_of(declaration, labels, contract.classes),
        categories=contract.categories,
        seed=declaration.engine.seed,
        parameters={},
        threads=1,
    )

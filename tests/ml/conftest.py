"""Parts that several tests of the library share, made once."""

import pytest

from ml.bundle import Bundle
from ml.evaluation import Evaluation, evaluate
from ml.scoring import Scorer
from ml.training import train
from ml.training_set import TrainingSet, assemble
from tests.ml import parcels


@pytest.fixture(scope="session")
def training_set() -> TrainingSet:
    """30 days of parcels, the last 8 held out."""
    return assemble(parcels.world(), parcels.declared())


@pytest.fixture(scope="session")
def bundle(training_set: TrainingSet) -> Bundle:
    """A model trained on them."""
    return train(training_set, parcels.declared(), parcels.definition(), threads=1)


@pytest.fixture(scope="session")
def evaluation(bundle: Bundle, training_set: TrainingSet) -> Evaluation:
    """How good it is, with no champion beside it."""
    return evaluate(Scorer(bundle), training_set.test)

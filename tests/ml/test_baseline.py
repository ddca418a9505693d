"""The baseline is fitted on a candidate's rows, and on no more of them than it needs."""

import numpy as np
import pytest

from ml import baseline
from ml.baseline import fit_baseline
from ml.bundle import Bundle
from ml.labels import labels_of
from ml.metrics import compute_all
from ml.scoring import score
from ml.training_set import TrainingSet


def test_of_many_rows_some_are_taken_evenly_over_time(
    bundle: Bundle, training_set: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = labels_of(bundle.declaration, training_set.test, "test")
    found = []
    for most in (training_set.train.num_rows, 1_000):
        monkeypatch.setattr(baseline, "MAX_ROWS", most)
        fitted = fit_baseline(training_set, bundle)
        scores = score(fitted, bundle.contract, training_set.test)
        found.append((fitted.save(), compute_all("binary", labels, scores)["roc_auc"]))
    assert found[0][0] != found[1][0]
    assert found[1][1] == pytest.approx(found[0][1], abs=0.03)
    assert np.mean([auc for _, auc in found]) > 0.6

"""Measures of numbers, classes and orders against values worked out by hand, and scikit-learn's."""

import numpy as np
import pytest

from ml.measures import classes, numbers, ranks
from ml.metrics import METRICS, scikit_learn

rng = np.random.default_rng(11)


def test_numbers() -> None:
    labels, told = np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 3.0, 3.0, 4.0])
    assert numbers.rmse(labels, told) == pytest.approx(np.sqrt(5 / 4))
    assert numbers.mae(labels, told) == 0.75
    assert numbers.median_ae(labels, told) == 0.5
    assert numbers.r2(labels, told) == pytest.approx(1 - 5 / 14)
    assert numbers.bias(labels, told) == 0.25


def test_classes_as_scikit_learn_has_them() -> None:
    labels = rng.integers(0, 4, 500)
    scores = rng.dirichlet(np.ones(4), 500).round(2) + 1e-4
    scores /= scores.sum(axis=1, keepdims=True)
    theirs = scikit_learn()
    best = scores.argmax(axis=1)
    assert classes.log_loss(labels, scores) == pytest.approx(theirs.log_loss(labels, scores))
    assert classes.accuracy(labels, scores) == theirs.accuracy_score(labels, best)
    assert classes.balanced_accuracy(labels, scores) == theirs.balanced_accuracy_score(labels, best)
    assert classes.f1_macro(labels, scores) == pytest.approx(theirs.f1_score(labels, best, average="macro"))
    area = theirs.roc_auc_score(labels, scores, multi_class="ovr")
    assert classes.roc_auc_macro(labels, scores) == pytest.approx(area)


def test_a_class_never_trained_on_is_always_wrong() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    labels = np.array([0, 1, -1])
    assert classes.accuracy(labels, scores) == pytest.approx(2 / 3)
    assert classes.balanced_accuracy(labels, scores) == pytest.approx(2 / 3)
    assert np.isfinite(classes.log_loss(labels, scores))
    assert classes.log_loss(labels, scores) > 10


def test_orders_by_hand() -> None:
    # Two groups among each other, and one in which nothing is worth finding.
    labels = np.array([[0, 1], [1, 0], [2, 1], [0, 0], [0, 2], [0, 2]])
    scores = np.array([0.9, 0.1, 0.5, 0.8, 0.3, 0.2])
    second = 1 / np.log2(3)
    assert ranks.ndcg(labels, scores) == pytest.approx(second)
    assert ranks.mean_reciprocal_rank(labels, scores) == 0.5
    assert ranks.mean_average_precision(labels, scores) == 0.5
    best = -labels[:, 0].astype(float) * -1
    assert ranks.ndcg(labels, best) == ranks.ndcg_10(labels, best) == 1
    assert ranks.mean_average_precision(labels, best) == 1


def test_ndcg_as_scikit_learn_has_it() -> None:
    grades, scores = rng.integers(0, 5, (40, 25)), rng.normal(size=(40, 25))
    labels = np.column_stack([grades.ravel(), np.repeat(np.arange(40), 25)])
    gains = 2.0**grades - 1
    theirs = scikit_learn()
    assert ranks.ndcg(labels, scores.ravel()) == pytest.approx(theirs.ndcg_score(gains, scores))
    assert ranks.ndcg_10(labels, scores.ravel()) == pytest.approx(theirs.ndcg_score(gains, scores, k=10))


def test_a_metric_is_defined_where_labels_differ() -> None:
    for task, same, differ in (
        ("binary", np.array([True, True]), np.array([True, False])),
        ("regression", np.array([1.5, 1.5]), np.array([1.5, 1.6])),
        ("multiclass", np.array([2, 2]), np.array([2, 0])),
        ("ranking", np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 0]])),
    ):
        for metric in METRICS[task].values():
            assert not metric.is_defined(same)
            assert not metric.is_defined(same[:0])
            assert metric.is_defined(differ)

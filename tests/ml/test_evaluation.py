"""An evaluation measures on unseen rows only, and compares only on rows that nobody was trained on."""

import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.bundle import Bundle
from ml.errors import MadeByOtherEngine, OneClass
from ml.evaluation import Evaluation, evaluate
from ml.gate import decide
from ml.scoring import Scorer
from ml.training import train
from ml.training_set import TrainingSet, assemble
from tests.ml.parcels import PER_DAY, declared, definition, features, labels, using, world


def _trained(**changes: object) -> Bundle:
    declaration = declared(**changes)
    return train(assemble(world(), declaration), declaration, definition())


@pytest.fixture(scope="module")
def newer() -> Bundle:
    """Trained on four of the days that the others are tested on."""
    return _trained(split={"holdout_days": 4})


def test_it_measures_the_test_rows(evaluation: Evaluation, training_set: TrainingSet, bundle: Bundle) -> None:
    assert evaluation.n_rows == training_set.test.num_rows
    assert (evaluation.first_day, evaluation.last_day, evaluation.n_days) == (
        date(2024, 3, 13),
        date(2024, 3, 20),
        8,
    )
    assert evaluation.rows_sha256 == training_set.manifest.test.rows_sha256
    assert 0.68 < evaluation.metrics["roc_auc"] < 0.78
    assert sum(one.n_rows for one in evaluation.calibration) == evaluation.n_rows
    means = [one.score_mean for one in evaluation.calibration]
    assert means == sorted(means)
    assert len(evaluation.periods) == 8
    assert sum(one.n_rows for one in evaluation.periods) == evaluation.n_rows
    assert all(0.5 < (one.metric or 0) < 0.9 for one in evaluation.periods)
    assert evaluation.all_missing == ("never",)
    assert (evaluation.champion, evaluation.comparison, evaluation.not_comparable) == (None, None, None)
    assert evaluation.version == bundle.version


def test_curves_are_thin_and_whole(evaluation: Evaluation) -> None:
    assert 50 < len(evaluation.roc.x) <= 200
    assert (evaluation.roc.x[0], evaluation.roc.y[0]) == (0, 0)
    assert (evaluation.roc.x[-1], evaluation.roc.y[-1]) == (1, 1)
    area = np.trapezoid(evaluation.roc.y, evaluation.roc.x)
    assert area == pytest.approx(evaluation.metrics["roc_auc"], abs=0.002)
    assert evaluation.pr.x[-1] == 1
    assert evaluation.pr.y[-1] == pytest.approx(evaluation.label_mean, abs=1e-4)


def test_it_is_the_same_when_made_again_and_as_json(
    evaluation: Evaluation, bundle: Bundle, training_set: TrainingSet
) -> None:
    assert evaluate(Scorer(bundle, threads=2), training_set.test).id == evaluation.id
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_both_are_scored_on_the_same_rows(bundle: Bundle, training_set: TrainingSet) -> None:
    champion = Scorer(_trained(split={"holdout_days": 12}))
    judged = evaluate(Scorer(bundle), training_set.test, champion=champion)
    beside = judged.comparison
    assert beside is not None
    assert (judged.champion, beside.n_rows, beside.n_left_out) == (champion.bundle.version, judged.n_rows, 0)
    assert beside.candidate == judged.metrics
    assert beside.champion == evaluate(champion, training_set.test).metrics


def test_days_the_champion_was_trained_on_are_left_out(
    bundle: Bundle, training_set: TrainingSet, newer: Bundle
) -> None:
    judged = evaluate(Scorer(bundle), training_set.test, champion=Scorer(newer))
    beside = judged.comparison
    assert beside is not None
    assert beside.first_day == date(2024, 3, 17)
    assert beside.n_rows + beside.n_left_out == judged.n_rows
    assert beside.n_left_out > 3 * PER_DAY
    assert [one.first_day for one in beside.champion_periods] == [one.first_day for one in judged.periods[4:]]


def test_without_common_unseen_days_it_says_so(newer: Bundle, training_set: TrainingSet) -> None:
    early = training_set.test.filter(
        pa.array(training_set.test["day"].to_numpy() < np.datetime64("2024-03-16"))
    )
    judged = evaluate(Scorer(_trained(split={"holdout_days": 10})), early, champion=Scorer(newer))
    assert judged.comparison is None
    assert (
        judged.not_comparable
        == "the champion was trained until 2024-03-16, which leaves none of the test days"
    )


def test_a_champion_whose_features_are_gone_is_not_comparable(
    bundle: Bundle, training_set: TrainingSet
) -> None:
    slim = _trained(features=using(["depot_id", "n_ahead"]))
    test = training_set.test.drop_columns(["price"])
    judged = evaluate(Scorer(slim), test, champion=Scorer(bundle))
    assert judged.not_comparable == "the champion needs 'price', which the test rows don't have"
    judged = evaluate(Scorer(slim), test, champion=Scorer(bundle), champion_test=training_set.test)
    assert judged.comparison is not None
    fewer = training_set.test.slice(1)
    judged = evaluate(Scorer(slim), test, champion=Scorer(bundle), champion_test=fewer)
    assert judged.not_comparable == "the champion's feature table doesn't hold the same rows"


def test_a_champion_of_another_engine_major_is_not_comparable(evaluation: Evaluation, bundle: Bundle) -> None:
    receipt = json.loads(bundle.files["receipt.json"]) | {"versions": {"lightgbm": "3.2.0"}}
    older = Bundle({**bundle.files, "receipt.json": json.dumps(receipt).encode()})
    with pytest.raises(MadeByOtherEngine) as refused:
        Scorer(older)
    judged = evaluation.beside_unread(refused.value)
    assert judged.champion == older.version
    assert "fitted by lightgbm 3.2.0" in str(judged.not_comparable)
    assert not decide(judged, bundle.declaration.gate).promote


def test_the_champion_beside_itself_is_no_comparison(bundle: Bundle, training_set: TrainingSet) -> None:
    judged = evaluate(Scorer(bundle), training_set.test, champion=Scorer(bundle))
    assert (judged.champion, judged.comparison, judged.not_comparable) == (bundle.version, None, None)


def test_one_class_cannot_be_measured(bundle: Bundle, training_set: TrainingSet) -> None:
    late = training_set.test.filter(training_set.test["is_late"])
    with pytest.raises(OneClass, match=r"is True in all .* test rows"):
        evaluate(Scorer(bundle), late)


def test_many_days_are_told_by_week(bundle: Bundle) -> None:
    rows = features(100)
    known = dict(zip(*(c.to_pylist() for c in labels(rows).select(["parcel_id", "is_late"])), strict=True))
    late = pa.array([bool(known[key]) for key in rows["parcel_id"].to_pylist()])
    periods = evaluate(Scorer(bundle), rows.append_column("is_late", late)).periods
    assert len(periods) == 15
    assert all(one.first_day.weekday() == 0 for one in periods[1:])
    assert all(one.last_day - one.first_day <= timedelta(days=6) for one in periods)
    assert sum(one.n_rows for one in periods) == rows.num_rows

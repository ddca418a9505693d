"""Calibration: on days of its own, part of the version, told before and after, refused where it can't be."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.analysis.uncalibrated import gap
from ml.bundle import CALIBRATION, Bundle, verified
from ml.calibration import Calibrated, Calibrator
from ml.card import render as card
from ml.declaration import ModelDeclaration
from ml.declared_calibration import METHODS
from ml.engines import ENGINES
from ml.errors import BundleRefused, CalibrationUnfit, ContractBroken, DeclarationRefused, EmptySplit
from ml.evaluation import Evaluation, evaluate
from ml.gate import decide
from ml.plots import draw
from ml.report import render
from ml.scoring import Scorer
from ml.training import train
from ml.training_set import TrainingSet, assemble
from tests.ml.parcels import declared, definition
from tests.ml.test_tasks import of_task, world_of_labels

# Trees that learn their rows by heart are surer than they should be.
SURE = {
    "lightgbm": {"num_iterations": 150, "num_leaves": 63, "min_data_in_leaf": 5, "learning_rate": 0.3},
    "linear": {"l2": 1e-6},
}


def declaration(task: str, engine: str, **calibration: Any) -> ModelDeclaration:
    parts = {
        "calibration": {"method": "sigmoid", "days": 6} | calibration,
        "engine": {"name": engine, "parameters": SURE[engine]},
    }
    plain = declared() if task == "binary" else of_task(task)
    return ModelDeclaration.parse(plain.model_dump(mode="json") | parts)


@pytest.fixture(scope="module")
def rows() -> TrainingSet:
    return assemble(world_of_labels(), declared())


@pytest.fixture(scope="module")
def classes() -> TrainingSet:
    return assemble(world_of_labels(), of_task("multiclass"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("method", METHODS)
def test_it_makes_scores_come_true_and_is_told_before_and_after(
    rows: TrainingSet, classes: TrainingSet, task: str, engine: str, method: str
) -> None:
    rows = rows if task == "binary" else classes
    made = declaration(task, engine, method=method)
    bundle = train(rows, made, definition(), threads=1)
    judged = evaluate(Scorer(bundle), rows.test)
    before = judged.uncalibrated
    assert before is not None
    assert (before.method, before.n_rows > 0) == (method, True)
    if engine == "lightgbm":
        assert gap(judged.calibration) < gap(before.calibration) / 2
        assert judged.metrics["log_loss"] < before.metrics["log_loss"]
    scores = Scorer(bundle).score(rows.test)
    assert 0 <= scores.min() <= scores.max() <= 1
    if task == "multiclass":
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-12)
    alone = [Scorer(bundle).score(rows.test.slice(n, 1))[0] for n in range(7)]
    np.testing.assert_array_equal(alone, scores[:7])
    again = train(rows, made, definition(), threads=2)
    assert again.version == bundle.version
    assert Evaluation.from_json(judged.to_json()) == judged
    pictures = draw(judged)
    assert "before calibration" in pictures["calibration"].alt
    decision = decide(judged, made.gate)
    assert "Calibration before and after" in render(bundle, judged, decision, pictures)
    assert f"calibrated ({method}" in card(bundle, judged, decision)


def test_it_is_fitted_on_the_newest_training_days_which_the_trees_have_not_seen(rows: TrainingSet) -> None:
    bundle = train(rows, declaration("binary", "lightgbm"), definition(), threads=1)
    step = Calibrator.from_json(bundle.files[CALIBRATION])
    last = rows.manifest.train.last_day
    assert (step.first_day, step.last_day) == (last - timedelta(days=5), last)
    assert step.last_day < rows.manifest.test.first_day
    is_older = pc.less(rows.train["day"], pa.scalar(step.first_day))
    older = replace(rows, train=rows.train.filter(is_older))
    assert step.n_rows == rows.train.num_rows - older.train.num_rows
    alone = train(older, declared(engine=declaration("binary", "lightgbm").engine), definition(), threads=1)
    assert alone.fitted == bundle.fitted
    assert alone.files["contract.json"] == bundle.files["contract.json"]
    other = train(rows, declaration("binary", "lightgbm", days=5), definition(), threads=1)
    assert other.version != bundle.version
    assert isinstance(Scorer(bundle).fitted, Calibrated)
    assert bundle.receipt["versions"].keys() >= {"scikit-learn", "scipy"}


def test_a_bundle_whose_step_is_gone_changed_or_of_another_kind_is_refused(rows: TrainingSet) -> None:
    bundle = train(rows, declaration("binary", "lightgbm"), definition(), threads=1)
    files = {**bundle.files, "bundle.json": bundle.index}
    changed = bundle.files[CALIBRATION].replace(b'"n_rows": ', b'"n_rows": 1')
    with pytest.raises(BundleRefused, match=CALIBRATION):
        verified({**files, CALIBRATION: changed}, "here")
    with pytest.raises(BundleRefused, match=CALIBRATION):
        verified({name: text for name, text in files.items() if name != CALIBRATION}, "here")
    without = Bundle({name: text for name, text in bundle.files.items() if name != CALIBRATION})
    with pytest.raises(ContractBroken, match="calibration 'sigmoid', its files None"):
        Scorer(without)
    step = json.loads(bundle.files[CALIBRATION])
    for damage, told in (
        ({"steps": []}, "number of"),
        ({"task": "multiclass"}, "task"),
        ({"steps": 1}, "read"),
    ):
        broken = Bundle({**bundle.files, CALIBRATION: json.dumps(step | damage).encode()})
        with pytest.raises(ContractBroken, match=told):
            Scorer(broken)


@pytest.mark.parametrize("task", ["regression", "ranking"])
def test_tasks_without_probabilities_are_refused_at_load(task: str) -> None:
    with pytest.raises(DeclarationRefused, match=rf"binary, multiclass.*'{task}'"):
        of_task(task, calibration={"method": "sigmoid"})


def test_mistakes_are_refused_by_name(rows: TrainingSet, classes: TrainingSet) -> None:
    with pytest.raises(DeclarationRefused, match=r"isotonc.*Did you mean 'isotonic'"):
        declared(calibration={"method": "isotonc"})
    with pytest.raises(DeclarationRefused, match=r"dys.*Did you mean 'days'"):
        declared(calibration={"method": "sigmoid", "dys": 3})
    with pytest.raises(EmptySplit, match=r"calibration.days 40"):
        train(rows, declaration("binary", "linear", days=40), definition())
    place = classes.train.column_names.index("outcome")
    told = np.array(classes.train["outcome"].to_pylist())
    told[classes.train["day"].to_numpy() > np.datetime64(classes.manifest.train.last_day) - 6] = "late"
    told[-1] = "early"
    lacking = replace(classes, train=classes.train.set_column(place, "outcome", pa.array(told)))
    with pytest.raises(CalibrationUnfit, match=r"class 1 .* newest 6 training days"):
        train(lacking, declaration("multiclass", "linear"), definition())

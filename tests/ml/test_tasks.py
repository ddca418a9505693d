"""Every task from its declaration to its report, by every engine; labels that do not fit it are refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.baseline import fit_baseline
from ml.bundle import Bundle, verified
from ml.declaration import ModelDeclaration
from ml.engines import ENGINES
from ml.errors import (
    DeclarationRefused,
    FeaturesEmpty,
    InfiniteValues,
    LabelUnfit,
    OneClass,
    TooManyCategories,
)
from ml.evaluation import Evaluation, evaluate
from ml.gate import decide
from ml.metrics import METRICS
from ml.plots import draw
from ml.report import render
from ml.scoring import Scorer
from ml.training import train
from ml.training_set import TrainingSet, assemble
from tests.ml.parcels import DECLARED, Tables, declared, definition, features, labels

COLUMNS = {
    "regression": {"column": "delay_min"},
    "multiclass": {"column": "outcome"},
    "ranking": {"column": "grade", "group": "round_id"},
}
FLOORS = {"regression": {"r2": 0.1}, "multiclass": {"accuracy": 0.3}, "ranking": {"ndcg": 0.3}}
CASES = [(task, engine) for task in COLUMNS for engine in ENGINES]
DAMAGE = Callable[[pa.Table], Any]


def of_task(task: str, engine: str = "lightgbm", **changes: Any) -> ModelDeclaration:
    """The declaration of the same features with another label."""
    metric = next(iter(FLOORS[task]))
    parts = {
        "task": task,
        "label": {"table": "parcel_labels", "train_only_where": "has_van", **COLUMNS[task]},
        "gate": {"floor": FLOORS[task], "against_champion": {"metric": metric}},
        "engine": DECLARED["engine"] if engine == "lightgbm" else {"name": engine},
    }
    return declared(**{**parts, **changes})


def world_of_labels() -> Tables:
    """Parcels with a label of each kind, made of the same features."""
    rows = features()
    known = labels(rows)
    place = pc.index_in(known["parcel_id"], value_set=rows["parcel_id"])
    rng = np.random.default_rng(5)
    at = rows["depot_delay_mean_3h_min"].take(place).fill_null(8).to_numpy()
    delay = np.nan_to_num(at, nan=8.0) * 3 + rng.normal(0, 10, known.num_rows)
    outcome = np.array(["early", "in time", "late"])[np.digitize(delay, [20, 40])]
    tables = Tables()
    more = {
        "delay_min": pa.array(delay),
        "outcome": pa.array(outcome),
        "grade": pa.array(np.digitize(delay, [20, 40, 60]), pa.int32()),
        "round_id": pa.array([f"{day}-{n % 20}" for n, day in enumerate(known["day"].to_pylist())]),
    }
    for name, values in more.items():
        known = known.append_column(name, values)
    tables.publish(parcel_features=rows, parcel_labels=known)
    return tables


@pytest.fixture(scope="module")
def tables() -> Tables:
    return world_of_labels()


@pytest.fixture(
    scope="module", params=[(task, engine) for task in COLUMNS for engine in ENGINES], ids="-".join
)
def made(request: pytest.FixtureRequest, tables: Tables) -> tuple[Bundle, TrainingSet, Evaluation]:
    declaration = of_task(*request.param)
    rows = assemble(tables, declaration)
    bundle = train(rows, declaration, definition(), threads=1)
    return bundle, rows, evaluate(Scorer(bundle), rows.test, baseline=fit_baseline(rows, bundle))


def test_it_is_measured_beside_the_baseline(made: tuple[Bundle, TrainingSet, Evaluation]) -> None:
    bundle, rows, judged = made
    assert set(judged.metrics) == set(METRICS[judged.task])
    assert judged.baseline is not None
    assert set(judged.baseline.metrics) == set(judged.metrics)
    assert all(np.isfinite(list(judged.metrics.values())))
    assert decide(judged, bundle.declaration.gate).promote
    if bundle.engine == "linear":
        assert judged.baseline.metrics == pytest.approx(judged.metrics)
    assert len(judged.periods) == 8
    assert None not in {one.metric for one in judged.periods}
    assert Evaluation.from_json(judged.to_json()) == judged
    again = verified({**bundle.files, "bundle.json": bundle.index}, "here", bundle.version)
    np.testing.assert_array_equal(Scorer(again).score(rows.test), Scorer(bundle).score(rows.test))


def test_its_report_shows_what_its_task_has(made: tuple[Bundle, TrainingSet, Evaluation]) -> None:
    bundle, _, judged = made
    pictures = draw(judged)
    own = {
        "regression": {"numbers", "errors"},
        "multiclass": {"calibration", "confusion"},
        "ranking": set(),
    }[judged.task]
    assert set(pictures) == own | {"over_time", "importances", "contributions"}
    page = render(bundle, judged, decide(judged, bundle.declaration.gate), pictures)
    assert "baseline (linear)" in page
    assert all(metric.title in page for metric in METRICS[judged.task].values())
    assert "ROC curve" not in page


def test_the_champion_beside_it_predicts_the_same_label(tables: Tables) -> None:
    numbers, classes = of_task("regression"), of_task("multiclass")
    rows = assemble(tables, numbers)
    older = assemble(tables, of_task("regression", split={"holdout_days": 12}))
    ours = Scorer(train(rows, numbers, definition()))
    theirs = Scorer(train(older, numbers, definition()))
    judged = evaluate(ours, rows.test, champion=theirs)
    assert judged.comparison is not None
    assert judged.comparison.candidate == judged.metrics
    other = Scorer(train(assemble(tables, classes), classes, definition()))
    assert "another kind of label" in str(evaluate(ours, rows.test, champion=other).not_comparable)


def test_classes_have_codes_in_the_contract_and_others_are_wrong_not_an_error(tables: Tables) -> None:
    declaration = of_task("multiclass")
    rows = assemble(tables, declaration)
    bundle = train(rows, declaration, definition())
    assert bundle.contract.classes == ("early", "in time", "late")
    assert rows.manifest.train.label_mean is None
    scores = Scorer(bundle).score(rows.test)
    assert scores.shape == (rows.test.num_rows, 3)
    place = rows.test.column_names.index("outcome")
    told = rows.test["outcome"].to_pylist()
    unseen = rows.test.set_column(place, "outcome", pa.array([*told[:-50], *["lost"] * 50]))
    judged = evaluate(Scorer(bundle), unseen)
    assert judged.confusion is not None
    assert sum(map(sum, judged.confusion.n_rows)) == judged.n_rows - 50
    assert judged.metrics["log_loss"] > evaluate(Scorer(bundle), rows.test).metrics["log_loss"]


def test_integer_classes_are_ordered_as_numbers(tables: Tables) -> None:
    declaration = of_task("multiclass")
    rows = assemble(tables, declaration)
    codes = pa.array(np.arange(rows.train.num_rows) % 11)
    place = rows.train.column_names.index("outcome")
    numbered = replace(rows, train=rows.train.set_column(place, "outcome", codes))
    assert train(numbered, declaration, definition()).contract.classes == tuple(map(str, range(11)))


def _label(values: Callable[[int], Any]) -> DAMAGE:
    return lambda rows: values(rows.num_rows)


UNFIT: list[tuple[str, DAMAGE, type[Exception], str]] = [
    ("regression", _label(lambda n: pa.array(["1"] * n)), LabelUnfit, '"delay_min" .* of type string'),
    ("regression", _label(lambda n: [1.0, np.inf] + [0.0] * (n - 2)), LabelUnfit, "infinite .* in 1 of"),
    ("regression", _label(lambda n: [1.0, np.nan] + [0.0] * (n - 2)), LabelUnfit, "not a number in 1 of"),
    ("regression", _label(lambda n: [2.5] * n), OneClass, r"is 2\.5 in all"),
    ("multiclass", _label(lambda n: [0.5, 1.5] * (n // 2) + [0.5] * (n % 2)), LabelUnfit, "of type double"),
    (
        "multiclass",
        _label(lambda n: list(map(str, range(n)))),
        LabelUnfit,
        "is at most 100",
    ),
    ("multiclass", _label(lambda n: ["a"] * n), OneClass, "is 'a' in all"),
    ("ranking", _label(lambda n: [-1, *[1] * (n - 1)]), LabelUnfit, "holding -1; .* from 0 to 30"),
    ("ranking", _label(lambda n: [31, *[1] * (n - 1)]), LabelUnfit, "holding 31"),
    ("ranking", _label(lambda n: [0.5] * n), LabelUnfit, "of type double"),
    ("ranking", _label(lambda n: [0] * n), OneClass, "is 0 in all"),
]


@pytest.mark.parametrize(("task", "values", "error", "told"), UNFIT, ids=[one[3] for one in UNFIT])
def test_a_label_that_does_not_fit_its_task_is_refused(
    tables: Tables, task: str, values: DAMAGE, error: type[Exception], told: str
) -> None:
    declaration = of_task(task)
    rows = assemble(tables, declaration)
    name = COLUMNS[task]["column"]
    column = values(rows.train)
    damaged = rows.train.set_column(rows.train.column_names.index(name), name, pa.array(column))
    with pytest.raises(error, match=told):
        train(replace(rows, train=damaged), declaration, definition())


def test_rows_without_group_cannot_be_ranked(tables: Tables) -> None:
    declaration = of_task("ranking")
    rows = assemble(tables, declaration)
    some = pa.array([None, *rows.train["round_id"].to_pylist()[1:]])
    damaged = rows.train.set_column(rows.train.column_names.index("round_id"), "round_id", some)
    with pytest.raises(LabelUnfit, match=r'"round_id" .* null in 1 rows'):
        train(replace(rows, train=damaged), declaration, definition())


def test_a_group_is_declared_for_rankings_alone() -> None:
    for task, label in (("ranking", "regression"), ("regression", "ranking")):
        with pytest.raises(DeclarationRefused, match=r"label\.group( = .*)?: is given for task 'ranking'"):
            of_task(task, label={"table": "parcel_labels", **COLUMNS[label]})


def _with(rows: TrainingSet, name: str, values: Any) -> TrainingSet:
    return replace(rows, train=rows.train.set_column(rows.train.column_names.index(name), name, values))


def test_a_feature_without_any_value_is_refused_unless_declared(training_set: TrainingSet) -> None:
    n = training_set.train.num_rows
    strict = {key: value for key, value in DECLARED["features"].items() if key != "may_be_missing"}
    with pytest.raises(FeaturesEmpty, match=r'"never": no value in any of .* features\.may_be_missing'):
        train(training_set, declared(features=strict), definition())
    with pytest.raises(FeaturesEmpty, match='from "price"'):
        train(_with(training_set, "price", pa.nulls(n, pa.float32())), declared(), definition())
    alone = {"table": "parcel_features", "columns": ["never"], "may_be_missing": ["never"]}
    with pytest.raises(FeaturesEmpty, match='from "never"'):
        train(training_set, declared(features=alone), definition())


def test_a_category_that_names_rows_is_refused(training_set: TrainingSet) -> None:
    names = pa.array([f"d{n % 1000}" for n in range(training_set.train.num_rows)])
    with pytest.raises(TooManyCategories, match=r'"depot_id" has 1,000 categories .* at most 500'):
        train(_with(training_set, "depot_id", names), declared(), definition())


def test_an_infinite_feature_is_refused(training_set: TrainingSet) -> None:
    prices = np.array(training_set.train["price"].to_numpy())
    prices[3] = np.inf
    with pytest.raises(InfiniteValues, match='"price" is infinite in 1 of'):
        train(_with(training_set, "price", pa.array(prices)), declared(), definition())

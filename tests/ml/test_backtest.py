"""A backtest: each fold is what training before its period and testing on it gives, whatever the task."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.backtest import Backtest, Measured, backtest
from ml.bundle import Bundle
from ml.card import render as card
from ml.declaration import ModelDeclaration
from ml.engines import ENGINES
from ml.errors import DeclarationRefused, EmptySplit
from ml.evaluation import evaluate
from ml.gate import decide
from ml.metrics import METRICS
from ml.plots_backtest import draw_backtest
from ml.report import render
from ml.scoring import Scorer
from ml.split import Span
from ml.training import train
from ml.training_set import assemble
from tests.ml.parcels import Tables, declared, definition
from tests.ml.test_tasks import of_task, world_of_labels

WEEKS = {"every": "week", "min_train_days": 13}


def of(task: str, engine: str = "lightgbm", **plan: Any) -> ModelDeclaration:
    parts = {"backtest": WEEKS | plan}
    if task == "binary":
        return declared(**parts) if engine == "lightgbm" else declared(**parts, engine={"name": engine})
    return of_task(task, engine, **parts)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return world_of_labels()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("task", METRICS)
def test_every_fold_is_told_whatever_the_task(tables: Tables, task: str, engine: str) -> None:
    heard: list[str] = []
    over = backtest(
        tables, of(task, engine), definition(), threads=1, told=lambda fold: heard.append(fold.name)
    )
    # 30 days from Tuesday 20 February 2024.
    assert [fold.name for fold in over.folds] == heard == ["2024-03-04", "2024-03-11", "2024-03-18"]
    assert [len(over.folds), over.baseline] == [len(over.measured), "linear"]
    for fold, outcome in over.measured:
        assert fold.trained.first_day == date(2024, 2, 20)
        assert fold.trained.last_day < fold.tested.first_day
        assert set(outcome.metrics) == set(outcome.baseline) == set(METRICS[task])
        assert outcome.intervals.keys() <= outcome.metrics.keys()
        if engine == "linear":
            assert outcome.baseline == pytest.approx(outcome.metrics)
    assert Backtest.from_json(over.to_json()) == over
    assert set(draw_backtest(over)) == {"backtest"}


def test_a_fold_is_what_that_split_gives(tables: Tables) -> None:
    over = backtest(tables, of("binary", train_days=13, folds=2), definition(), threads=1)
    assert [fold.name for fold in over.folds] == ["2024-03-11", "2024-03-18"]
    fold, outcome = over.measured[0]
    assert fold.trained == Span(date(2024, 2, 27), date(2024, 3, 10))
    days = {
        "train_from": "2024-02-27",
        "train_until": "2024-03-10",
        "test_from": "2024-03-11",
        "test_until": "2024-03-17",
    }
    alone = declared(split=days)
    rows = assemble(tables, alone)
    judged = evaluate(Scorer(train(rows, alone, definition(), threads=1)), rows.test)
    assert outcome.metrics == judged.metrics
    assert outcome.intervals == judged.analysis.intervals
    assert (fold.n_trained, outcome.n_rows) == (rows.train.num_rows, rows.test.num_rows)


def test_months_calibration_and_a_fold_that_lacks_a_class(tables: Tables) -> None:
    plan = {"every": "month", "min_train_days": 5}
    calibrated = declared(backtest=plan, calibration={"method": "sigmoid", "days": 3})
    over = backtest(tables, calibrated, definition(), threads=1)
    assert [fold.name for fold in over.folds] == ["2024-03"]
    plain = backtest(tables, declared(backtest=plan), definition(), threads=1)
    assert over.measured[0][1].metrics != plain.measured[0][1].metrics

    labels = tables.read("parcel_labels", edition=tables.edition())
    is_last = pc.greater_equal(labels["day"], pa.scalar(date(2024, 3, 18)))
    one_class = pc.if_else(is_last, pa.scalar(value=False), labels["is_late"])
    place = labels.column_names.index("is_late")
    lacking = Tables()
    lacking.publish(
        parcel_features=tables.read("parcel_features", edition=tables.edition()),
        parcel_labels=labels.set_column(place, "is_late", one_class),
    )
    over = backtest(lacking, of("binary"), definition(), threads=1)
    assert isinstance(over.folds[-1].outcome, str)
    assert "is False in all" in over.folds[-1].outcome
    assert len(over.measured) == 2


def test_report_and_card_show_it(tables: Tables) -> None:
    declaration = of("binary")
    over = backtest(tables, declaration, definition(), threads=1)
    rows = assemble(tables, declaration)
    bundle: Bundle = train(rows, declaration, definition(), threads=1)
    judged = evaluate(Scorer(bundle), rows.test)
    decision = decide(judged, declaration.gate)
    page = render(bundle, judged, decision, draw_backtest(over), over)
    outcome = over.folds[0].outcome
    assert isinstance(outcome, Measured)
    assert "2024-03-04" in page
    assert f"{outcome.metrics['roc_auc']:.4f}" in page
    assert "Trained before each week" in page
    least = min(one.metrics["roc_auc"] for _, one in over.measured)
    assert f"{least:.4f} to" in card(bundle, judged, decision, over)
    assert np.isclose(least, over.spread[0] if over.spread else 0)


def test_mistakes_are_refused(tables: Tables) -> None:
    with pytest.raises(DeclarationRefused, match=r"'moth'.*Did you mean 'month'"):
        declared(backtest={"every": "moth"})
    with pytest.raises(DeclarationRefused, match=r"train_days = 10: is below backtest\.min_train_days, 56"):
        declared(backtest={"every": "month", "train_days": 10})
    with pytest.raises(EmptySplit, match="backtest"):
        backtest(tables, of("binary", min_train_days=100), definition())

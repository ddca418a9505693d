"""A search finds better parameters, ends with its budget, goes on after kill -9, and repeats."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ml.declaration import ModelDeclaration
from ml.errors import DeclarationRefused, EmptySplit
from ml.search import Progress, search
from ml.training import Found, train
from ml.training_set import TrainingSet, assemble
from tests.ml.parcels import DECLARED, declared, definition, world

SPACE: dict[str, Any] = {
    "learning_rate": {"low": 0.001, "high": 0.3, "log": True},
    "num_leaves": {"low": 3, "high": 59, "step": 4},
    "boosting": {"choices": ["gbdt", "dart"]},
    "lambda_l2": {"low": 0.0, "high": 20.0},
}
PLAN: dict[str, Any] = {"metric": "log_loss", "space": SPACE, "trials": 12, "holdout_days": 6}


def searching(**changes: Any) -> ModelDeclaration:
    """The parcels' declaration with a search."""
    return declared(search={**PLAN, **changes})


def found_by(rows: TrainingSet, declaration: ModelDeclaration, studies: Path) -> tuple[Found, list[Progress]]:
    """What a search finds, and what it told meanwhile."""
    told: list[Progress] = []
    found = search(rows, declaration, definition(), studies, threads=1, told=told.append)
    return found, told


@pytest.fixture(scope="module")
def whole(
    training_set: TrainingSet, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Found, list[Progress], Path]:
    """A search of twelve trials, made without interruption."""
    studies = tmp_path_factory.mktemp("searches") / "searches.db"
    return *found_by(training_set, searching(), studies), studies


def test_it_tells_of_every_trial_and_finds_what_is_best(whole: tuple[Found, list[Progress], Path]) -> None:
    found, told, _ = whole
    assert [one.n_done for one in told] == list(range(13))
    assert (told[0].best, str(told[0])) == (None, "trial 0 of 12")
    values = [one.value for one in told[1:] if one.value is not None]
    assert found.value == min(values) == told[-1].best
    assert found.n_trials == 12
    assert found.n_pruned == 12 - len(values)
    assert found.n_pruned > 0
    assert None not in {one.value for one in told[1:6]}, "the first are never given up"
    assert set(found.parameters) == set(SPACE)
    assert str(told[-1]).endswith(f"best {found.value:.5f}")


def test_the_first_trial_is_what_is_declared(training_set: TrainingSet, tmp_path: Path) -> None:
    given = DECLARED["engine"]["parameters"]
    both = {name: SPACE[name] for name in ("learning_rate", "num_leaves")}
    found, _ = found_by(training_set, searching(trials=1, space=both), tmp_path / "searches.db")
    assert found.parameters == {name: given[name] for name in both}
    elsewhere = {"learning_rate": {"low": 0.2, "high": 0.3}}
    found, _ = found_by(training_set, searching(trials=1, space=elsewhere), tmp_path / "searches.db")
    assert 0.2 <= float(found.parameters["learning_rate"]) <= 0.3


def test_a_finished_search_is_only_read_and_a_greater_budget_goes_on(
    whole: tuple[Found, list[Progress], Path], training_set: TrainingSet
) -> None:
    found, _, studies = whole
    again, told = found_by(training_set, searching(), studies)
    assert (again, told) == (found, [])
    more, told = found_by(training_set, searching(trials=14), studies)
    assert [one.n_done for one in told] == [13, 14]
    assert more.study == found.study
    fewer, told = found_by(training_set, searching(minutes=0.0001, trials=None), studies)
    assert told == []
    assert fewer.n_trials == 14


def test_other_rows_seeds_and_spaces_are_other_studies(
    whole: tuple[Found, list[Progress], Path], training_set: TrainingSet, tmp_path: Path
) -> None:
    shorter = assemble(world(), declared(split={"holdout_days": 9}))
    seeded = declared(engine={**DECLARED["engine"], "seed": 8}, search={**PLAN, "trials": 1})
    names = {
        whole[0].study,
        found_by(shorter, searching(trials=1), tmp_path / "s.db")[0].study,
        found_by(training_set, seeded, tmp_path / "s.db")[0].study,
        found_by(training_set, searching(trials=1, holdout_days=5), tmp_path / "s.db")[0].study,
    }
    assert len(names) == 4


def test_minutes_end_it_after_a_whole_trial(training_set: TrainingSet, tmp_path: Path) -> None:
    plan = searching(trials=None, minutes=0.00001)
    found, told = found_by(training_set, plan, tmp_path / "searches.db")
    assert found.n_trials == 1
    assert str(told[-1]).startswith("trial 1: log_loss 0.")


@pytest.mark.parametrize("prune", [True, False])
def test_killed_it_goes_on_where_it_stood_and_ends_the_same(
    whole: tuple[Found, list[Progress], Path], training_set: TrainingSet, tmp_path: Path, prune: bool
) -> None:
    """Killed twice, in the middle of whatever trial it was at."""
    studies = tmp_path / "searches.db"
    expected = whole[0]
    if not prune:
        expected, _ = found_by(training_set, searching(prune=False), tmp_path / "whole.db")
        assert expected.n_pruned == 0
    seen = [_killed_after(n, studies, prune) for n in (2, 3)]
    assert [one[0] for one in seen] == [0, seen[0][-1]], "the first trial it told of is the next"
    found, told = found_by(training_set, searching(prune=prune), studies)
    assert told[0].n_done == seen[1][-1] + 1 > 4
    assert found == expected


def _killed_after(n_trials: int, studies: Path, prune: bool) -> list[int]:
    """Search in another process, kill it after some trials; how many trials it had done each time it told."""
    code = (
        "import sys, json\n"
        "from pathlib import Path\n"
        "from tests.ml.test_search import searching, definition\n"
        "from tests.ml.parcels import world, declared\n"
        "from ml.search import search\n"
        "from ml.training_set import assemble\n"
        "plan = searching(prune=json.loads(sys.argv[2]))\n"
        "search(assemble(world(), declared()), plan, definition(), Path(sys.argv[1]), threads=1,\n"
        "       told=lambda progress: print(progress.n_done, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(studies), json.dumps(prune)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    told: list[int] = []
    while len(told) < n_trials + 1:
        line = process.stdout.readline()
        assert line, "it ended before it was killed"
        told.append(int(line))
    time.sleep(0.05)  # into the next trial
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    rest = [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    first = told[0] if told[0] == 0 else told[0] - 1
    return [first, *told[1:], *rest]


def test_what_was_found_makes_the_model_and_stands_in_its_receipt(
    whole: tuple[Found, list[Progress], Path], training_set: TrainingSet
) -> None:
    found = whole[0]
    bundle = train(training_set, searching(), definition(), threads=1, found=found)
    plain = train(training_set, searching(), definition(), threads=1)
    assert bundle.receipt["search"]["parameters"] == found.parameters
    assert bundle.fitted != plain.fitted
    assert plain.receipt["search"] is None
    parameters = {**DECLARED["engine"]["parameters"], **found.parameters}
    by_hand = declared(engine={**DECLARED["engine"], "parameters": parameters})
    assert train(training_set, by_hand, definition(), threads=1).fitted == bundle.fitted


def test_no_rows_to_judge_by_are_told(training_set: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(EmptySplit, match=r"no search rows remain by search\.holdout_days 22, of 22 training"):
        found_by(training_set, searching(holdout_days=22), tmp_path / "searches.db")


def test_the_linear_engine_is_searched_as_well(training_set: TrainingSet, tmp_path: Path) -> None:
    space = {"l2": {"low": 0.01, "high": 10_000, "log": True}, "max_categories": {"choices": [1, 20]}}
    plan = declared(engine={"name": "linear"}, search={**PLAN, "space": space, "trials": 7})
    found, _ = found_by(training_set, plan, tmp_path / "searches.db")
    assert set(found.parameters) == set(space)


MISTAKES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"space": {}}, ("search.space", "empty", "name at least one")),
    ({"space": {"num_leafs": {"low": 4, "high": 9}}}, ("'num_leafs'", "'num_leaves'")),
    ({"space": {"num_threads": {"choices": [1, 2]}}}, ("'num_threads'",)),
    (
        {"space": {"num_leaves": {"choices": [4, "many"]}}},
        ("search.space.num_leaves", "whole", "'many'"),
    ),
    ({"space": {"num_leaves": {"low": 4.5, "high": 9}}}, ("search.space.num_leaves", "whole number", "4.5")),
    ({"space": {"boosting": {"choices": ["gbdt", 1]}}}, ("search.space.boosting", "text", "1")),
    ({"space": {"boosting": {"low": 1, "high": 2}}}, ("search.space.boosting", "needs choices")),
    ({"space": {"extra_trees": {"choices": [True, 1]}}}, ("search.space.extra_trees", "true or false", "1")),
    ({"space": {"num_leaves": {"choices": []}}}, ("search.space.num_leaves", "choices are empty")),
    (
        {"space": {"num_leaves": {"low": 9, "high": 4}}},
        ("search.space.num_leaves", "low 9 is not below"),
    ),
    ({"space": {"num_leaves": {"low": 9}}}, ("search.space.num_leaves", "give low and high")),
    ({"space": {"num_leaves": {"low": 4, "hihg": 9}}}, ("search.space.num_leaves.hihg", "'high'")),
    ({"space": {"lambda_l2": {"low": 0, "high": 9, "log": True}}}, ("search.space.lambda_l2", "above 0")),
    (
        {"space": {"lambda_l2": {"low": 1, "high": 9, "log": True, "step": 2}}},
        ("search.space.lambda_l2", "not both"),
    ),
    ({"space": {"lambda_l2": {"low": 1, "high": 9, "choices": [2]}}}, ("search.space.lambda_l2", "not both")),
    ({"trials": None}, ("search", "give a budget")),
    ({"trials": 0}, ("search.trials", "0")),
    ({"metric": "roc_aux"}, ("'roc_aux'", "'roc_auc'")),
    ({"metric": "rmse"}, ("search.metric", "'rmse' is no metric of task 'binary'")),
    ({"trails": 5}, ("search.trails", "'trials'")),
]


@pytest.mark.parametrize(("change", "told"), MISTAKES, ids=[" ".join(told) for _, told in MISTAKES])
def test_a_mistake_is_named_with_what_is_allowed(change: dict[str, Any], told: tuple[str, ...]) -> None:
    with pytest.raises(DeclarationRefused) as refused:
        searching(**change)
    for part in told:
        assert part in str(refused.value)


def test_a_value_of_the_wrong_type_is_refused_for_a_fixed_parameter_too() -> None:
    for parameters, told in (
        ({"num_leaves": "many"}, "num_leaves must be a whole number, not 'many'"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, not 'fast'"),
        ({"extra_trees": 1}, "extra_trees must be true or false, not 1"),
    ):
        with pytest.raises(DeclarationRefused, match=told):
            declared(engine={"name": "lightgbm", "parameters": parameters})

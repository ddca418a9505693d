"""From decision to ledger: promoted once, refused once, and the same after a kill at any statement."""

import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from ml.bundle import Bundle
from ml.declared_gate import Gate
from ml.errors import BundleRefused, ChampionChanged
from ml.evaluation import Comparison, Evaluation
from ml.gate import Decision, Reason, decide
from ml.ledger import Ledger
from ml.paired import Paired
from ml.promotion import judge, register, roll_back, settle, trained_until
from ml.registry import Registry
from ml.training import train
from ml.training_set import TrainingSet
from tests.ml.parcels import DECLARED, declared, definition

NO = Decision(False, (Reason(False, "roc_auc 0.600 is below the declared floor 0.700"), Reason(True, "fine")))


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    return Ledger(ledger_url)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry((tmp_path / "registry").as_uri())


@pytest.fixture(scope="module")
def second(training_set: TrainingSet) -> Bundle:
    return train(training_set, declared(engine={**DECLARED["engine"], "seed": 8}), definition())


@pytest.fixture
def both(bundle: Bundle, second: Bundle) -> tuple[Bundle, Bundle]:
    return bundle, second


def test_a_good_candidate_becomes_champion_once(
    ledger: Ledger, registry: Registry, bundle: Bundle, evaluation: Evaluation
) -> None:
    assert trained_until(ledger, bundle.model) is None
    register(ledger, registry, bundle, "tests")
    assert trained_until(ledger, bundle.model) == date(2024, 3, 12)
    decision = decide(evaluation, bundle.declaration.gate)
    first = settle(ledger, registry, bundle, evaluation, decision, actor="tests")
    assert (first.kind, first.champion) == ("promoted", bundle.version)
    assert first.entry.details["metrics"]["roc_auc"] == evaluation.metrics["roc_auc"]
    assert first.entry.details["evaluation"] == evaluation.id
    again = settle(ledger, registry, bundle, evaluation, decision, actor="tests")
    assert (again.kind, again.entry.entry) == ("unchanged", first.entry.entry)
    assert "is the champion since" in again.text
    assert [entry.kind for entry in ledger.history(bundle.model)] == ["registered", "promoted"]


def test_a_refusal_is_written_with_its_reasons_and_leaves_the_champion(
    ledger: Ledger, registry: Registry, bundle: Bundle, second: Bundle, evaluation: Evaluation
) -> None:
    decision = decide(evaluation, bundle.declaration.gate)
    settle(ledger, registry, bundle, evaluation, decision, actor="tests")
    beside = replace(evaluation, version=second.version, champion=bundle.version)
    outcomes = [settle(ledger, registry, second, beside, NO, actor="tests") for _ in range(2)]
    assert {(one.kind, one.champion, one.entry.entry) for one in outcomes} == {("refused", bundle.version, 4)}
    assert outcomes[0].entry.reason == "roc_auc 0.600 is below the declared floor 0.700"
    assert outcomes[0].entry.details["reasons"][1] == {"is_met": True, "text": "fine"}
    kinds = [entry.kind for entry in ledger.history(bundle.model)]
    assert kinds == ["registered", "promoted", "registered", "refused"]


def test_judged_against_yesterdays_champion_is_not_promoted(
    ledger: Ledger, registry: Registry, bundle: Bundle, second: Bundle, evaluation: Evaluation
) -> None:
    yes = Decision(True, (Reason(True, "fine"),))
    settle(ledger, registry, second, evaluation, yes, actor="tests")
    with pytest.raises(ChampionChanged, match="Evaluate it again"):
        settle(ledger, registry, bundle, evaluation, yes, actor="tests")
    assert [entry.version for entry in ledger.history(bundle.model)] == [second.version] * 2


def test_what_was_rolled_back_is_not_promoted_again_by_the_same_evaluation(
    ledger: Ledger, registry: Registry, bundle: Bundle, second: Bundle, evaluation: Evaluation
) -> None:
    yes = Decision(True, (Reason(True, "fine"),))
    settle(ledger, registry, bundle, evaluation, yes, actor="tests")
    beside = replace(evaluation, version=second.version, champion=bundle.version)
    settle(ledger, registry, second, beside, yes, actor="tests")
    back = roll_back(ledger, registry, bundle.model, None, reason="it was wrong", actor="someone")
    assert (back.version, back.previous) == (bundle.version, second.version)
    again = [settle(ledger, registry, second, beside, yes, actor="tests") for _ in range(2)]
    assert {(one.kind, one.champion) for one in again} == {("refused", bundle.version)}
    assert "rolled back on" in again[0].text
    assert "by someone (it was wrong)" in again[0].text
    assert len(ledger.history(bundle.model, "refused")) == 1
    other = replace(beside, rows_sha256="0" * 64)
    assert settle(ledger, registry, second, other, yes, actor="tests").kind == "promoted"


def test_a_rollback_to_a_damaged_bundle_changes_nothing(
    ledger: Ledger, registry: Registry, bundle: Bundle, second: Bundle, evaluation: Evaluation
) -> None:
    yes = Decision(True, (Reason(True, "fine"),))
    settle(ledger, registry, bundle, evaluation, yes, actor="tests")
    beside = replace(evaluation, version=second.version, champion=bundle.version)
    settle(ledger, registry, second, beside, yes, actor="tests")
    before = ledger.history()
    trees = Path(registry.uri(bundle.model, bundle.version).removeprefix("file://")) / "trees.txt"
    trees.write_bytes(trees.read_bytes() + b"x")
    with pytest.raises(BundleRefused, match=r"trees\.txt"):
        roll_back(ledger, registry, bundle.model, None, reason="", actor="someone")
    assert ledger.history() == before


def _beside_the_champion(evaluation: Evaluation, version: str, p: Paired) -> Evaluation:
    day, metrics = evaluation.first_day, evaluation.metrics
    beside = Comparison(day, day, 1, 0, metrics, metrics, (), p)
    return replace(evaluation, version=version, champion="c" * 64, comparison=beside)


def test_every_test_is_written_with_its_numbers_and_spends_once(
    ledger: Ledger, evaluation: Evaluation
) -> None:
    gate = Gate.model_validate({"floor": {"roc_auc": 0.5}, "against_champion": {"metric": "roc_auc"}})
    better, worse = Paired("roc_auc", 0.02, 0.002, 28), Paired("roc_auc", -0.001, 0.002, 28)
    judged = [_beside_the_champion(evaluation, one * 64, worse) for one in "abe"]
    refused = [judge(ledger, one, gate, actor="tests") for one in judged]
    assert [one.promote for one in refused] == [False] * 3
    again = [judge(ledger, one, gate, actor="again") for one in judged]
    assert again == refused
    good = judge(ledger, _beside_the_champion(evaluation, "d" * 64, better), gate, actor="tests")
    assert good.promote
    entries = ledger.history(evaluation.model)
    assert [entry.kind for entry in entries] == ["compared"] * 4
    assert [entry.details["nth"] for entry in entries] == [1, 2, 3, 4]
    levels = [entry.details["level"] for entry in entries]
    assert levels == pytest.approx([0.001, 0.00098, 0.0009604, 0.000941192])
    assert entries[-1].details["left"] == pytest.approx(0.05 - sum(levels))
    assert (entries[0].previous, entries[0].details["difference"]) == ("c" * 64, -0.001)
    assert entries[0].details["low"] < -0.001 < entries[0].details["high"]
    assert "not proven to be better by more than 0" in str(entries[0].reason)
    assert entries[-1].details["p_value"] < 1e-6


def test_what_was_spent_a_year_ago_can_be_spent_again(
    ledger: Ledger, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate.model_validate({"floor": {"roc_auc": 0.5}, "against_champion": {"metric": "roc_auc"}})
    judged = [_beside_the_champion(evaluation, one * 64, Paired("roc_auc", 0.0, 0.002, 28)) for one in "ab"]
    judge(ledger, judged[0], gate, actor="tests")
    monkeypatch.setattr("ml.promotion.YEAR", timedelta(0))
    found = judge(ledger, judged[1], gate, actor="tests").test
    assert found is not None
    assert (found.nth, found.level) == (1, pytest.approx(0.001))


def test_a_rule_that_asks_for_no_proof_spends_nothing(ledger: Ledger, evaluation: Evaluation) -> None:
    judged = _beside_the_champion(evaluation, "a" * 64, Paired("roc_auc", 0.0, 0.002, 28))
    gate = Gate.model_validate(
        {"floor": {"roc_auc": 0.5}, "against_champion": {"metric": "roc_auc", "rule": "not_worse"}}
    )
    assert judge(ledger, judged, gate, actor="tests").promote
    assert ledger.history() == ()


KILLED_AT_EVERY_STEP = """
import os, pickle, signal, sys
import sqlalchemy as sa
from ml.bundle import Bundle
from ml.evaluation import Evaluation
from ml.gate import Decision, Reason
from ml.ledger import Ledger
from ml.promotion import roll_back, settle
from ml.registry import Registry

home, url, act = sys.argv[1:]
with open(f"{home}/given", "rb") as given:
    first, second, of_first, of_second = pickle.load(given)
yes, no = (Decision(done, (Reason(done, "so"),)) for done in (True, False))

def settled(files, judged, decision=yes):
    registry = Registry(f"file://{home}/registry")
    return lambda ledger: settle(
        ledger, registry, Bundle(files), Evaluation.from_json(judged), decision, actor="killed"
    )

def rolled_back(ledger):
    registry = Registry(f"file://{home}/registry")
    roll_back(ledger, registry, Bundle(first).model, None, reason="so", actor="killed")

before = {
    "first": [],
    "second": [settled(first, of_first)],
    "refused": [settled(first, of_first)],
    "back": [settled(first, of_first), settled(second, of_second)],
}
todo = {
    "first": settled(first, of_first),
    "second": settled(second, of_second),
    "refused": settled(second, of_second, no),
    "back": rolled_back,
}

def killed_at(last):
    steps = iter(range(last))
    def count(*_):
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
    ledger = Ledger(url)
    write = Registry._write
    Registry._write = lambda *told: (write(*told), count())
    sa.event.listen(ledger._engine, "before_cursor_execute", count)
    sa.event.listen(ledger._engine, "after_cursor_execute", count)
    sa.event.listen(ledger._engine, "commit", count)
    todo[act](ledger)

for prepare in before[act]:
    prepare(Ledger(url))
for last in range(200):
    child = os.fork()
    if not child:
        killed_at(last)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    ledger = Ledger(url)
    champion = ledger.champion(Bundle(first).model)
    print(os.waitstatus_to_exitcode(status), champion and champion.version, len(ledger.history()))
    if status == 0:
        break
"""


@pytest.mark.parametrize("act", ["first", "second", "refused", "back"])
def test_killed_anywhere_there_is_one_champion_and_run_again_it_ends_the_same(
    tmp_path: Path, ledger_url: str, both: tuple[Bundle, Bundle], evaluation: Evaluation, act: str
) -> None:
    bundle, second = both
    beside = replace(evaluation, version=second.version, champion=bundle.version)
    given = (dict(bundle.files), dict(second.files), evaluation.to_json(), beside.to_json())
    (tmp_path / "given").write_bytes(pickle.dumps(given))
    command = [sys.executable, "-c", KILLED_AT_EVERY_STEP, str(tmp_path), ledger_url, act]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    first, then = {
        "first": ("None 0", f"{bundle.version} 2"),
        "second": (f"{bundle.version} 2", f"{second.version} 4"),
        "refused": (f"{bundle.version} 2", f"{bundle.version} 4"),
        "back": (f"{second.version} 4", f"{bundle.version} 5"),
    }[act]
    assert told[-1] == f"0 {then}"
    assert set(told[:-1]) == {f"-9 {first}"}, "all of it or nothing"
    assert len(told) > 10
    registry = Registry((tmp_path / "registry").as_uri())
    assert registry.get(bundle.model, bundle.version).version == bundle.version

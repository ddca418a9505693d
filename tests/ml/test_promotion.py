"""From decision to ledger: promoted once, refused once, and the same after a kill at any statement."""

import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ml.bundle import Bundle
from ml.errors import ChampionChanged
from ml.evaluation import Evaluation
from ml.gate import Decision, Reason, decide
from ml.ledger import Ledger
from ml.promotion import register, settle, trained_until
from ml.registry import Registry
from ml.training import train
from ml.training_set import TrainingSet
from tests.ml.parcels import DECLARED, declared, definition

NO = Decision(False, (Reason(False, "roc_auc 0.600 is below the declared floor 0.700"), Reason(True, "fine")))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry((tmp_path / "registry").as_uri())


@pytest.fixture(scope="module")
def second(training_set: TrainingSet) -> Bundle:
    return train(training_set, declared(engine={**DECLARED["engine"], "seed": 8}), definition())


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


KILLED_AT_EVERY_STEP = """
import os, pickle, signal, sys
import sqlalchemy as sa
from ml.bundle import Bundle
from ml.evaluation import Evaluation
from ml.gate import Decision, Reason
from ml.ledger import Ledger
from ml.promotion import settle
from ml.registry import Registry

home = sys.argv[1]
with open(f"{home}/given", "rb") as given:
    files, judged = pickle.load(given)
bundle, evaluation = Bundle(files), Evaluation.from_json(judged)

def promote(last):
    steps = iter(range(last))
    def count(*_):
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
    ledger, registry = Ledger(f"sqlite:///{home}/ledger.db"), Registry(f"file://{home}/registry")
    write = Registry._write
    Registry._write = lambda *told: (write(*told), count())
    sa.event.listen(ledger._engine, "before_cursor_execute", count)
    sa.event.listen(ledger._engine, "commit", count)
    settle(ledger, registry, bundle, evaluation, Decision(True, (Reason(True, "fine"),)), actor="killed")

for last in range(100):
    child = os.fork()
    if not child:
        promote(last)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    kinds = [entry.kind for entry in Ledger(f"sqlite:///{home}/ledger.db").history(bundle.model)]
    print(os.waitstatus_to_exitcode(status), ",".join(kinds))
    if status == 0:
        break
"""


def test_killed_anywhere_and_run_again_it_ends_the_same(
    tmp_path: Path, bundle: Bundle, evaluation: Evaluation
) -> None:
    (tmp_path / "given").write_bytes(pickle.dumps((dict(bundle.files), evaluation.to_json())))
    command = [sys.executable, "-c", KILLED_AT_EVERY_STEP, str(tmp_path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert told[-1] == "0 registered,promoted"
    assert set(told[:-1]) <= {"-9 ", "-9 registered,promoted"}
    assert len(told) > 10
    registry = Registry((tmp_path / "registry").as_uri())
    assert registry.get(bundle.model, bundle.version).version == bundle.version

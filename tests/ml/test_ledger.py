"""The ledger: rows are only added, one champion at any time, whoever races or dies."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ml.errors import ChampionChanged, LedgerUnusable, NotRegistered
from ml.ledger import Ledger

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'new' / 'ledger.db'}")


def _register(ledger: Ledger, *versions: str) -> None:
    for version in versions:
        ledger.register("m", version, f"file:///{version}", {"n": 1}, "tests")


def _promote(ledger: Ledger, version: str, expected: str | None) -> bool:
    told: dict[str, Any] = {"reason": "better", "details": {"roc_auc": 0.75}, "actor": "tests"}
    return ledger.promote("m", version, expected=expected, **told).is_new


def test_registering_twice_is_one_entry(ledger: Ledger) -> None:
    assert ledger.register("m", A, "uri", {"n": 1}, "x") == ledger.register("m", A, "other", {}, "y")
    assert [entry.kind for entry in ledger.history("m")] == ["registered"]


def test_the_champion_is_the_newest_promotion(ledger: Ledger) -> None:
    _register(ledger, A, B)
    assert ledger.champion("m") is None
    assert _promote(ledger, A, None)
    assert _promote(ledger, B, A)
    champion = ledger.champion("m")
    assert champion is not None
    assert (champion.version, champion.uri, champion.entry.previous) == (B, f"file:///{B}", A)
    assert abs(datetime.now(UTC) - champion.at) < timedelta(minutes=1)
    assert _promote(ledger, A, B)
    assert [e.version for e in ledger.history("m") if e.kind == "promoted"] == [A, B, A]
    assert ledger.champion("another") is None


def test_promoting_the_champion_again_adds_nothing(ledger: Ledger) -> None:
    _register(ledger, A)
    assert _promote(ledger, A, None)
    before = ledger.history("m")
    assert not _promote(ledger, A, None)
    assert not _promote(ledger, A, A)
    assert ledger.history("m") == before


def test_a_promotion_against_another_champion_is_refused(ledger: Ledger) -> None:
    _register(ledger, A, B, C)
    _promote(ledger, A, None)
    _promote(ledger, B, A)
    with pytest.raises(
        ChampionChanged, match="judged against champion 'aaaaaaaaaaaa', but champion is 'bbbb"
    ):
        _promote(ledger, C, A)
    with pytest.raises(ChampionChanged, match="against champion 'none'"):
        _promote(ledger, C, None)
    with pytest.raises(NotRegistered, match="d" * 64):
        _promote(ledger, "d" * 64, B)


def test_refusals_and_loads_are_kept(ledger: Ledger) -> None:
    _register(ledger, A)
    told: dict[str, Any] = {"reason": "roc_auc 0.6 is below", "details": {}, "actor": "tests"}
    first = ledger.refuse("m", A, once="e1", **told)
    assert ledger.refuse("m", A, once="e1", **told) == first
    assert ledger.refuse("m", A, once="e2", **told) != first
    ledger.loaded("m", A, actor="server 1", details={"pid": 1})
    ledger.loaded("m", A, actor="server 1", details={"pid": 1})
    kinds = [entry.kind for entry in ledger.history("m")]
    assert kinds == ["registered", "refused", "refused", "loaded", "loaded"]
    newest = ledger.newest("m", "loaded")
    assert newest is not None
    assert (newest.actor, newest.details) == ("server 1", {"pid": 1})


def test_champions_lists_every_model_once(ledger: Ledger) -> None:
    _register(ledger, A, B)
    _promote(ledger, A, None)
    _promote(ledger, B, A)
    ledger.register("k", C, "uri", {}, "x")
    ledger.promote("k", C, expected=None, reason="", details={}, actor="x")
    assert [(one.model, one.version) for one in ledger.champions()] == [("k", C), ("m", B)]


def test_acts_of_a_failed_transaction_never_happened(ledger: Ledger) -> None:
    with pytest.raises(NotRegistered), ledger.transaction() as together:
        together.register("m", A, "uri", {}, "x")
        together.promote("m", B, expected=None, reason="", details={}, actor="x")
    assert ledger.history("m") == ()


def test_an_unreachable_ledger_is_told_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(LedgerUnusable, match=r"ledger\.db"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


RACE = """
import sys
from ml.errors import ChampionChanged
from ml.ledger import Ledger
ledger, me, won = Ledger(sys.argv[1]), sys.argv[2], 0
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
for turn in range(15):
    version = f"{me}{turn:063d}"
    ledger.register("m", version, "uri", {}, me)
    before = ledger.champion("m")
    try:
        ledger.promote("m", version, expected=before and before.version, reason="", details={}, actor=me)
        won += 1
    except ChampionChanged:
        pass
print(won)
"""


def test_two_promoters_racing_leave_one_unbroken_line_of_champions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    told = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, url, me], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for me in "ab"
    ]
    for process in told:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in told:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    won = sum(int(process.communicate(timeout=60)[0]) for process in told)
    promoted = [entry for entry in Ledger(url).history("m") if entry.kind == "promoted"]
    assert len(promoted) == won >= 15
    assert [entry.previous for entry in promoted] == [None, *(entry.version for entry in promoted[:-1])]


def test_the_table_itself_lets_a_turn_be_taken_once(ledger: Ledger, tmp_path: Path) -> None:
    _register(ledger, A)
    _promote(ledger, A, None)
    engine = sa.create_engine(ledger.url, poolclass=sa.NullPool)
    columns = "at, kind, model, version, details, once"
    again = f"insert into ledger ({columns}) select {columns} from ledger where kind = 'promoted'"
    with engine.begin() as connection, pytest.raises(sa.exc.IntegrityError, match="once"):
        connection.exec_driver_sql(again)

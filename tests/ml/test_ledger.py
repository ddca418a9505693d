"""The ledger on both databases: rows are only added, one champion at any time, whoever races or dies."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ml.errors import ChampionChanged, LedgerUnusable, NeverChampion, NothingToRollBackTo, NotRegistered
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.ledger_reading import server_of

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    return Ledger(ledger_url)


def _register(ledger: Ledger, *versions: str, model: str = "m") -> None:
    with ledger.transaction() as act:
        for version in versions:
            act.register(model, version, f"file:///{version}", {"n": 1}, "tests")


def _promote(ledger: Ledger, version: str, expected: str | None, evaluation: str = "e") -> Entry:
    told: dict[str, Any] = {"reason": "better", "details": {"evaluation": evaluation}, "actor": "tests"}
    with ledger.transaction() as act:
        return act.promote("m", version, expected=expected, **told)


def _roll_back(ledger: Ledger, to: str | None = None) -> Entry:
    with ledger.transaction() as act:
        return act.roll_back("m", to, reason="it was wrong", details={}, actor="tests")


def _champion(ledger: Ledger, at: datetime | None = None) -> str | None:
    champion = ledger.champion("m", at)
    return champion and champion.version


def test_registering_twice_is_one_entry(ledger: Ledger) -> None:
    _register(ledger, A, A)
    assert [entry.kind for entry in ledger.history("m")] == ["registered"]


def test_the_champion_is_the_newest_promotion(ledger: Ledger) -> None:
    _register(ledger, A, B)
    assert ledger.champion("m") is None
    _promote(ledger, A, None)
    _promote(ledger, B, A)
    champion = ledger.champion("m")
    assert champion is not None
    assert (champion.version, champion.uri, champion.previous) == (B, f"file:///{B}", A)
    assert abs(datetime.now(UTC) - champion.at) < timedelta(minutes=1)
    _promote(ledger, A, B)
    assert [e.version for e in ledger.history("m", "promoted")] == [A, B, A]
    assert ledger.champion("another") is None


def test_promoting_the_champion_again_adds_nothing(ledger: Ledger) -> None:
    _register(ledger, A)
    first = _promote(ledger, A, None)
    assert _promote(ledger, A, None) == _promote(ledger, A, A) == first
    assert [entry.kind for entry in ledger.history("m")] == ["registered", "promoted"]


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


def test_refusals_are_kept_once(ledger: Ledger) -> None:
    told: dict[str, Any] = {"reason": "roc_auc 0.6 is below", "details": {}, "actor": "tests"}
    with ledger.transaction() as act:
        first = act.refuse("m", A, once="e1", **told)
        assert act.refuse("m", A, once="e1", **told) == first
        assert act.refuse("m", A, once="e2", **told) != first
    assert [entry.kind for entry in ledger.history("m")] == ["refused", "refused"]


def test_champions_lists_every_model_once(ledger: Ledger) -> None:
    _register(ledger, A, B)
    _promote(ledger, A, None)
    _promote(ledger, B, A)
    _register(ledger, C, model="k")
    with ledger.transaction() as act:
        act.promote("k", C, expected=None, reason="", details={}, actor="x")
    assert [(one.model, one.version) for one in ledger.champions()] == [("k", C), ("m", B)]
    assert ledger.models() == ["k", "m"]


def test_a_rollback_goes_back_one_by_one_and_never_forward(ledger: Ledger) -> None:
    _register(ledger, A, B, C)
    for version, before in ((A, None), (B, A), (C, B)):
        _promote(ledger, version, before, f"of {version[0]}")
    back = _roll_back(ledger)
    assert (back.kind, back.version, back.previous, back.uri) == ("rolled_back", B, C, f"file:///{B}")
    assert (back.reason, back.details["withdrawn"]) == ("it was wrong", ["of c"])
    assert _champion(ledger) == B
    assert (_roll_back(ledger).version, _champion(ledger)) == (A, A)
    with pytest.raises(NothingToRollBackTo, match="aaaaaaaaaaaa is its first champion"):
        _roll_back(ledger)
    _promote(ledger, C, A, "again")
    assert _roll_back(ledger).version == A


def test_a_rollback_to_a_version_leaves_behind_all_above_it(ledger: Ledger) -> None:
    _register(ledger, A, B, C)
    for version, before in ((A, None), (B, A), (C, B)):
        _promote(ledger, version, before, f"of {version[0]}")
    with pytest.raises(NeverChampion, match=r"Champion now: c{12}\. Champions before: a{12}, b{12}\."):
        _roll_back(ledger, C)
    with pytest.raises(NeverChampion, match='rolled back to "dd"'):
        _roll_back(ledger, "dd")
    assert _roll_back(ledger, "aaaa").details["withdrawn"] == ["of b", "of c"]
    assert [one.version for one in ledger.line_of_champions("m")] == [A]
    assert _roll_back(ledger, B).version == B, "by name, what was left behind can be had again"
    assert [one.version for one in ledger.line_of_champions("m")] == [A, B]


def test_a_model_without_champion_has_nothing_to_roll_back_to(ledger: Ledger) -> None:
    with pytest.raises(NothingToRollBackTo, match="it has no champion"):
        _roll_back(ledger)


def test_it_tells_what_held_at_a_time(ledger: Ledger) -> None:
    _register(ledger, A, B)
    first = _promote(ledger, A, None)
    second = _promote(ledger, B, A)
    back = _roll_back(ledger)
    assert first.at < second.at < back.at
    assert _champion(ledger, first.at - timedelta(microseconds=1)) is None
    assert [_champion(ledger, one.at) for one in (first, second, back)] == [A, B, A]
    assert [one.version for one in ledger.champions(second.at)] == [B]
    assert [entry.kind for entry in ledger.history("m", at=first.at)] == ["registered"] * 2 + ["promoted"]


def test_it_tells_what_each_server_had_loaded(ledger: Ledger) -> None:
    def note(kind: str, version: str, port: int, pid: int) -> Entry:
        with ledger.transaction() as act:
            details = {"host": "h", "port": port, "worker": 1, "pid": pid}
            return act.add(kind, "m", version, actor="endpoint", details=details)

    def serving(at: datetime | None = None) -> dict[str, str]:
        return {server_of(one): one.version for one in ledger.serving("m", at)}

    note("loaded", A, 1, 10)
    both = note("loaded", A, 2, 20)
    note("loaded", B, 1, 10)
    after_a_kill = note("loaded", A, 2, 21)
    note("stopped", B, 1, 10)
    assert serving(both.at) == {"h:1/1": A, "h:2/1": A}
    assert serving(after_a_kill.at) == {"h:1/1": B, "h:2/1": A}
    assert serving() == {"h:2/1": A}


def test_time_never_runs_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    _register(ledger, A)

    class Slow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2000, 1, 1, tzinfo=UTC)

    monkeypatch.setattr("ml.ledger.datetime", Slow)
    _register(ledger, B)
    first, second = ledger.history("m")
    assert first.at == second.at


def test_acts_of_a_failed_transaction_never_happened(ledger: Ledger) -> None:
    with pytest.raises(NotRegistered), ledger.transaction() as act:
        act.register("m", A, "uri", {}, "x")
        act.promote("m", B, expected=None, reason="", details={}, actor="x")
    assert ledger.history("m") == ()


@pytest.mark.parametrize(
    "change", ["update ledger set version = 'x'", "delete from ledger", "truncate table ledger"]
)
def test_the_database_itself_lets_no_row_be_changed(ledger: Ledger, change: str) -> None:
    _register(ledger, A)
    before = ledger.history()
    engine = sa.create_engine(ledger.url, poolclass=sa.NullPool)
    if engine.dialect.name == "sqlite" and change.startswith("truncate"):
        change = "replace into ledger select * from ledger"
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(change)
    assert ledger.history() == before


def test_an_unreachable_ledger_is_told_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(LedgerUnusable, match=r"ledger\.db"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with pytest.raises(LedgerUnusable, match="HEADWATER_LEDGER") as refused:
        Ledger("postgresql://me:secret@127.0.0.1:1/ledger")
    assert "secret" not in str(refused.value)


RACE = """
import multiprocessing, sys
from ml.errors import ChampionChanged
from ml.ledger import Ledger

def promote(url, me, start, n_times, wins):
    ledger = Ledger(url)
    for turn in range(n_times):
        version = f"{me}{turn:063d}"
        with ledger.transaction() as act:
            act.register("m", version, "uri", {}, me)
        start.wait(60)
        champion = ledger.champion("m")
        expected = champion and champion.version
        start.wait(60)
        try:
            with ledger.transaction() as act:
                act.promote("m", version, expected=expected, reason="", details={}, actor=me)
            wins.put(me)
        except ChampionChanged:
            pass

context = multiprocessing.get_context("fork")
start, wins = context.Barrier(2), context.SimpleQueue()
args = [(sys.argv[1], me, start, int(sys.argv[2]), wins) for me in "ab"]
racers = [context.Process(target=promote, args=one) for one in args]
for racer in racers:
    racer.start()
for racer in racers:
    racer.join()
print(*[racer.exitcode for racer in racers])
"""


def test_two_promoters_racing_200_times_leave_one_unbroken_line_of_champions(ledger_url: str) -> None:
    n_times = 200
    command = [sys.executable, "-W", "error", "-c", RACE, ledger_url, str(n_times)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert told.stdout == "0 0\n", told.stderr
    promoted = Ledger(ledger_url).history("m", "promoted")
    assert len(promoted) == n_times, "both knew the same champion: one of two, each time"
    assert [entry.previous for entry in promoted] == [None, *(entry.version for entry in promoted[:-1])]
    assert {entry.actor for entry in promoted} == {"a", "b"}


def test_two_processes_make_the_same_ledger_at_once(ledger_url: str) -> None:
    command = [sys.executable, "-c", "import sys; from ml.ledger import Ledger; Ledger(sys.argv[1])"]
    makers = [subprocess.Popen([*command, ledger_url]) for _ in range(4)]
    assert [maker.wait(60) for maker in makers] == [0] * 4
    assert Ledger(ledger_url).history() == ()


def test_the_table_itself_lets_a_turn_be_taken_once(ledger: Ledger) -> None:
    _register(ledger, A)
    _promote(ledger, A, None)
    engine = sa.create_engine(ledger.url, poolclass=sa.NullPool)
    columns = "at, kind, model, version, details, once"
    again = f"insert into ledger ({columns}) select {columns} from ledger where kind = 'promoted'"
    with engine.begin() as connection, pytest.raises(sa.exc.DatabaseError, match=r"once|append-only"):
        connection.exec_driver_sql(again)

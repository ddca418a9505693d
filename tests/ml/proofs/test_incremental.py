"""Tables built day by day against a full rebuild, when all goes well and when a table is not idempotent."""

import subprocess
import sys
from datetime import date

import pytest

from ml.lake.workshop import Workshop
from ml.proofs.incremental import Drift, incremental_equals_full, rebuild_fully
from ml.proofs.rebuild import copied
from ml.proofs.standing import ALL_JUDGED, Standing
from ml.settings import Settings
from tests.ml.proofs.ledger_of_days import COUNTING, TABLES, D, Shops, appending, compiled

FEW = {"a": 1, "b": 2}


@pytest.fixture
def shops(settings: Settings) -> Shops:
    return Shops(Workshop(settings)).make()


def drifts(shops: Shops, known: Standing = ALL_JUDGED) -> tuple[Drift, ...]:
    with copied(shops.workshop) as snapshot:
        return incremental_equals_full(snapshot, compiled(shops.tables, D[0], D[-1]), known)


def test_late_repeated_unordered_and_corrected_files_give_what_a_full_rebuild_gives(shops: Shops) -> None:
    for n in (2, 0, 5, 3, 1, 4):  # out of order; 0 and 1 are late
        shops.arrive(D[n], {"a": n, "b": n * n})
        assert drifts(shops) == ()
    shops.arrive(D[3], {"a": 3, "b": 9})  # the same again
    shops.arrive(D[3], {"a": 30})  # corrected: another value, and a row less
    shops.arrive(D[3], {"a": 30})
    shops.build(D[0], D[5])  # a replay of all
    assert drifts(shops) == ()


def test_two_backfills_that_race_give_what_a_full_rebuild_gives(shops: Shops, settings: Settings) -> None:
    for n in range(6):
        shops.take_in(D[n], {"a": n, "b": n * n})
    script = (
        "import sys; from pathlib import Path; from datetime import date; "
        "from ml.lake.workshop import Workshop; "
        "from tests.project_folder import settings_in; from tests.ml.proofs.ledger_of_days import Shops; "
        "shops = Shops(Workshop(settings_in(Path(sys.argv[1])))); "
        "[shops.build(date.fromisoformat(day)) for day in sys.argv[2:] * 4]"
    )
    halves = [[str(day) for day in D[:4]], [str(day) for day in reversed(D[2:6])]]
    folder = str(settings.home.parent)
    racing = [subprocess.Popen([sys.executable, "-c", script, folder, *days]) for days in halves]
    assert [process.wait(120) for process in racing] == [0, 0]
    assert drifts(shops) == ()


def test_an_append_is_found_and_named(settings: Settings) -> None:
    shops = Shops(Workshop(settings), write=appending).make()
    shops.arrive(D[0], FEW)
    assert drifts(shops) == ()
    shops.build(D[0])  # the day again
    sales, totals = drifts(shops)
    assert (sales.table, totals.table) == ("staging.sales", "features.totals")
    assert sales.unique_id == "model.shops.sales"
    assert sales.n_cells[None] == 2
    first = sales.differences[0]
    assert (first.day, dict(first.key)) == (D[0], {"shop": "a", "day": D[0]})
    for told in ("staging.sales", "2024-01-01", "shop a"):
        assert told in str(sales)


def test_a_table_that_counts_its_own_rows_is_found_and_named(settings: Settings) -> None:
    shops = Shops(Workshop(settings), tables=(*TABLES, COUNTING)).make()
    shops.arrive(D[0], FEW)
    shops.arrive(D[4], FEW)
    (drift,) = drifts(shops)
    assert drift.table == "features.counting"
    assert dict(drift.n_cells) == {"n_before": 2}
    (found,) = drift.differences
    assert (found.day, found.key["shop"], found.column, found.standing, found.rebuilt) == (
        D[4],
        "a",
        "n_before",
        2,
        0,
    )
    assert "features.counting, day 2024-01-05, shop a" in str(drift)
    assert "n_before is 2, a full rebuild gives 0" in str(drift)


def test_a_cell_that_was_changed_is_named(shops: Shops) -> None:
    for n in range(3):
        shops.arrive(D[n], FEW)
    with shops.workshop.turn(), shops.workshop.connect() as con:
        con.execute("update features.totals set mean = mean + 1e-15 where shop = 'b' and day = ?", [D[1]])
    (drift,) = drifts(shops)
    (found,) = drift.differences
    assert (drift.table, found.day, found.column) == ("features.totals", D[1], "mean")
    assert found.rebuilt == 2.0
    assert found.standing != found.rebuilt


def test_a_late_file_that_was_not_carried_forward_is_found(shops: Shops) -> None:
    for n in (0, 2):
        shops.arrive(D[n], FEW)
    shops.take_in(D[1], FEW)
    with shops.workshop.turn(), shops.workshop.connect() as con:
        con.execute("use workshop")
        for table in compiled(shops.tables, D[1], D[1]):  # its own day only: the day after reads it too
            shops.write(con, table, D[1], D[1])
    (drift,) = drifts(shops)
    assert drift.table == "features.totals"
    assert {difference.day for difference in drift.differences} == {D[2]}


def test_files_that_nothing_was_computed_from_yet_are_no_difference(shops: Shops) -> None:
    computed: dict[tuple[str, date | None], str] = {}
    for n in range(3):
        computed["sales", D[n]] = shops.take_in(D[n], FEW)
        shops.build(D[n])
    shops.take_in(D[1], {"a": 100})  # a correction, and a new day
    shops.take_in(D[3], FEW)
    assert drifts(shops, Standing(computed)) == ()
    assert {drift.table for drift in drifts(shops)} == {"staging.sales", "features.totals"}


def test_published_rows_are_held_against_the_rebuild(shops: Shops) -> None:
    for n in range(3):
        shops.arrive(D[n], FEW)
    with copied(shops.workshop) as snapshot, snapshot.scratch() as scratch:
        full = rebuild_fully(scratch, compiled(shops.tables, D[0], D[-1]))
        newest = "from origin.features.totals where day >= date '2024-01-02'"  # older days are not kept
        published = {"totals": scratch.connection.execute(f"{newest} order by day desc").to_arrow_table()}
        assert list(full.drifted_published(published)) == []
        torn = {"totals": published["totals"].slice(1)}
        (drift,) = full.drifted_published(torn)
        assert (drift.table, drift.n_cells) == ("published totals", {None: 1})

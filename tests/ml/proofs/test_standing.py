"""A proof judges partitions by the code that they were built with: what is stale is told, the rest judged."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from ml.computed import Build, Key
from ml.lake.workshop import Workshop
from ml.proofs.incremental import Drift, incremental_equals_full
from ml.proofs.rebuild import Table, copied
from ml.proofs.standing import ALL_JUDGED, Standing, standing
from ml.settings import Settings
from ml.tables import Table as Code
from tests.ml.proofs.ledger_of_days import LOOKBACK, SALES, TOTALS, D, Shops, compiled

NOW, OLD = "now", "old"
CODES = {
    "sales": Code("sales", ("raw.sales",), NOW, "", is_daily=True),
    "totals": Code("totals", ("sales",), NOW, "", is_daily=True, lookback_days=LOOKBACK),
}
DOUBLED = replace(SALES, sql=SALES.sql.replace("amount,", "2 * amount as amount,"))
RAISED = replace(TOTALS, sql=TOTALS.sql.replace("sum(amount)", "1 + sum(amount)"))


@pytest.fixture
def shops(settings: Settings) -> Shops:
    made = Shops(Workshop(settings)).make()
    for n in range(5):
        made.arrive(D[n], {"a": n, "b": n * n})
    return made


def builds(old: Mapping[str, int] | None = None, ahead: int = 0) -> dict[Key, Build]:
    """Five days were built; the first so many of a table by older code, and some were written ahead."""
    made: dict[Key, Build] = {("raw.sales", day): Build(data=file(n), changed_at=1) for n, day in days(5)}
    for name in CODES:
        for n, day in days(5):
            code = OLD if n < (old or {}).get(name, 0) else NOW
            made[name, day] = Build(code=code, built_at=1, changed_at=1)
        made |= {(name, day): Build(changed_at=1) for n, day in days(5 + ahead) if n >= 5}
    return made


def days(n: int) -> list[tuple[int, date]]:
    return list(enumerate(D[:n]))


def file(n: int) -> str:
    return f"a{n}-b{n * n}"


def drifts(shops: Shops, known: Standing, tables: tuple[Table, ...]) -> tuple[Drift, ...]:
    with copied(shops.workshop) as snapshot:
        return incremental_equals_full(snapshot, compiled(tables, D[0], D[-1]), known)


def change(shops: Shops, day: date) -> None:
    """Change a cell of `features.totals` behind the register's back."""
    with shops.workshop.turn(), shops.workshop.connect() as con:
        con.execute("update features.totals set total = total + 1 where shop = 'b' and day = ?", [day])


def test_days_of_older_code_are_told_as_stale_and_all_others_judged(shops: Shops) -> None:
    known = standing(CODES, builds(old={"totals": 3}))
    for n in (3, 4):
        build_raised(shops, D[n])
    assert drifts(shops, known, (SALES, RAISED)) == ()
    assert {drift.table for drift in drifts(shops, ALL_JUDGED, (SALES, RAISED))} == {"features.totals"}
    told = known.told("totals")
    for part in ("Stale, not judged", "3 day(s)", "2024-01-01 to 2024-01-03", "its code changed", "make up"):
        assert part in told
    assert known.told("sales") == ""
    change(shops, D[1])
    assert drifts(shops, known, (SALES, RAISED)) == ()
    change(shops, D[3])
    (drift,) = drifts(shops, known, (SALES, RAISED))
    assert (drift.table, drift.days) == ("features.totals", (D[3],))


def build_raised(shops: Shops, day: date) -> None:
    """Build a day with the changed SQL."""
    with shops.workshop.turn(), shops.workshop.connect() as con:
        con.execute("use workshop")
        for table in compiled((RAISED,), day, day):
            shops.write(con, table, day, day)


def test_what_was_made_from_stale_rows_is_judged_by_these(shops: Shops) -> None:
    known = standing(CODES, builds(old={"sales": 5}))
    assert drifts(shops, known, (DOUBLED, TOTALS)) == ()
    change(shops, D[2])
    (drift,) = drifts(shops, known, (DOUBLED, TOTALS))
    assert (drift.table, drift.days) == ("features.totals", (D[2],))


def test_a_day_whose_inputs_changed_is_stale(shops: Shops) -> None:
    made = builds() | {("raw.sales", D[1]): Build(data=shops.take_in(D[1], {"a": 7}), changed_at=2)}
    known = standing(CODES, made)
    assert known.stale["sales"] == {D[1]: "raw.sales changed"}
    assert known.stale["totals"] == {}
    assert drifts(shops, known, (SALES, TOTALS)) == ()
    made |= {("sales", D[1]): Build(code=NOW, built_at=2, changed_at=2)}
    assert set(standing(CODES, made).stale["totals"]) == {D[1], D[2], D[3]}


def test_a_file_that_nothing_was_made_from_does_not_count(shops: Shops) -> None:
    shops.take_in(D[1], {"a": 7})
    shops.take_in(D[5], {"a": 7})
    assert drifts(shops, standing(CODES, builds()), (SALES, TOTALS)) == ()
    assert drifts(shops, ALL_JUDGED, (SALES, TOTALS)) != ()


def test_days_written_ahead_of_their_own_are_not_judged_and_not_stale(shops: Shops) -> None:
    known = standing(CODES, builds(ahead=2))
    assert known.unjudged("totals") == {D[5], D[6]}
    assert known.told("totals") == ""


def test_rows_of_days_that_nobody_built_are_found(shops: Shops) -> None:
    with shops.workshop.turn(), shops.workshop.connect() as con:
        con.execute("insert into staging.sales values ('c', 1, date '1999-01-01')")
    (drift,) = drifts(shops, standing(CODES, builds()), (SALES,))
    assert (drift.table, drift.days) == ("staging.sales", (date(1999, 1, 1),))


def test_a_failed_day_is_stale_with_what_failed(shops: Shops) -> None:
    made = builds() | {("sales", D[2]): Build(code=NOW, failed="run 7 failed: unique", changed_at=1)}
    assert standing(CODES, made).stale["sales"] == {D[2]: "run 7 failed: unique"}


def test_what_reads_stale_days_of_a_view_cannot_be_judged() -> None:
    known = standing(CODES, builds(old={"sales": 1}), views=("sales",))
    assert set(known.stale["totals"]) == {D[0], D[1], D[2]}
    assert "sales, a view, is stale" in known.told("totals")
    assert standing(CODES, builds(old={"sales": 1})).stale["totals"] == {}

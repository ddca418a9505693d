"""Tables computed again beside the workshop, from SQL alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from ml.errors import TableNotRebuilt
from ml.lake.workshop import Workshop
from ml.proofs.comparing import Comparison, digest_by_day
from ml.proofs.rebuild import Scratch, Table, copied, downstream, held, lookback, upstream
from ml.settings import Settings

D1, D2, D3 = (date(2024, 1, n) for n in (1, 2, 3))
DOUBLED = Table(
    "staging", "doubled", "select x, 2 * x as y, day from workshop.raw.given", reads=("raw.given",)
)
SEEN = Table(
    "staging", "seen", "select * from workshop.staging.doubled", is_view=True, reads=("staging.doubled",)
)
TOTAL = Table(
    "features",
    "total",
    "select cast(sum(y) as bigint) as total from workshop.staging.seen",
    is_by_day=False,
    reads=("staging.seen",),
)
TABLES = (DOUBLED, SEEN, TOTAL)


def on(table: Table, day: date) -> Table:
    """The table as compiled for one day."""
    return replace(table, sql=f"{table.sql} where day = date '{day}'")


@pytest.fixture
def workshop(settings: Settings) -> Workshop:
    """Three days with one row each: x is 1, 2, 3; the tables as they should be."""
    made = Workshop(settings)
    settings.home.mkdir(parents=True)
    with made.turn(), made.connect() as con:
        con.execute(
            "create schema raw; create schema staging; create schema features;"
            "create table raw.given as select * from (values (1, date '2024-01-01'), (2, date '2024-01-02'), "
            "(3, date '2024-01-03')) as v(x, day);"
            "create view raw.widest as select max(x) as x from raw.given;"
            "create view raw.newest as select x from raw.widest;"
            "create table staging.doubled as select x, 2 * x as y, day from raw.given;"
            "create table features.total as select 12::bigint as total"
        )
    return made


@pytest.fixture
def scratch(workshop: Workshop) -> Iterator[Scratch]:
    with copied(workshop) as snapshot, snapshot.scratch() as opened:
        yield opened


def rows(scratch: Scratch, query: str) -> list[tuple[object, ...]]:
    return scratch.connection.execute(query).fetchall()


def test_a_full_rebuild_is_what_stands(scratch: Scratch) -> None:
    scratch.raw()
    scratch.rebuild(TABLES)
    for table in (DOUBLED, TOTAL):
        sides = (f"{catalog}.{table.relation}" for catalog in ("origin", "workshop"))
        assert Comparison(scratch.connection, *sides).counts() == {}


def test_altered_raw_rows_are_seen_by_raws_own_views_and_by_every_table(scratch: Scratch) -> None:
    scratch.raw({"given": "select 10 * x as x, day from origin.raw.given"})
    scratch.rebuild(TABLES)
    assert rows(scratch, "select x from workshop.raw.newest") == [(30,)]
    assert rows(scratch, "select total from workshop.features.total") == [(120,)]


@pytest.mark.parametrize(("keep", "total"), [("outside", 2 + 40 + 6), ("before", 2 + 40), ("nothing", 40)])
def test_days_outside_the_window_are_taken_as_they_stand(scratch: Scratch, keep: str, total: int) -> None:
    scratch.raw({"given": "select 10 * x as x, day from origin.raw.given"})
    scratch.rebuild([on(DOUBLED, D2), SEEN, TOTAL], D2, D2, keep=keep)  # type: ignore[arg-type]
    assert rows(scratch, "select total from workshop.features.total") == [(total,)]


def test_tables_that_are_not_asked_for_are_shown_as_they_stand(scratch: Scratch) -> None:
    scratch.raw({"given": "select 10 * x as x, day from origin.raw.given"})
    scratch.rebuild(TABLES, only={"features.total"})
    assert rows(scratch, "select total from workshop.features.total") == [(12,)]


def test_nothing_is_left_of_one_world_in_the_next(scratch: Scratch) -> None:
    scratch.raw({"given": "select 10 * x as x, day from origin.raw.given"})
    scratch.rebuild(TABLES)
    scratch.clear()
    scratch.raw()
    scratch.rebuild(TABLES)
    assert rows(scratch, "select total from workshop.features.total") == [(12,)]


def test_types_are_those_the_table_has_where_it_stands(scratch: Scratch) -> None:
    scratch.raw()
    scratch.rebuild([Table("features", "total", "select 12.4 as total", is_by_day=False)])
    assert rows(scratch, "select total, typeof(total) from workshop.features.total") == [(12, "BIGINT")]


def test_refused_sql_names_the_table(scratch: Scratch) -> None:
    scratch.raw()
    with pytest.raises(TableNotRebuilt, match=r'"features.total".*nonsense'):
        scratch.rebuild([Table("features", "total", "select nonsense")])


def test_a_copy_leaves_the_workshop_free_and_as_it_was(workshop: Workshop, tmp_path: Path) -> None:
    with copied(workshop) as snapshot:
        with workshop.turn(wait_s=0), workshop.connect() as con:
            con.execute("delete from staging.doubled")
        with snapshot.scratch() as scratch:
            assert rows(scratch, "select count(*) from origin.staging.doubled") == [(3,)]
    assert not snapshot.file.exists()


def test_inside_a_turn_no_copy_is_made(workshop: Workshop) -> None:
    with held(workshop) as snapshot, snapshot.scratch() as scratch:
        assert snapshot.file == workshop.file
        assert rows(scratch, "select count(*) from origin.staging.doubled") == [(3,)]


def test_what_reads_and_what_is_read() -> None:
    assert downstream(TABLES, ["staging.seen"]) == (SEEN, TOTAL)
    assert upstream(TABLES, ["staging.seen"]) == (DOUBLED, SEEN)
    assert downstream(TABLES, ["raw.other"]) == ()


def test_how_far_back_a_table_looks_through_others() -> None:
    tables = [replace(SEEN, lookback_days=3), replace(DOUBLED, lookback_days=2), TOTAL]
    assert lookback(tables) == 5
    assert lookback([]) == 0


ONE = "(values (1, 0.0::double, 'nan'::double, 'a'), (2, 1.5, null, null)) as v(k, x, y, t)"
OTHER = "(values (2, 1.5::double, null::double, null), (1, 0.0, 'nan', 'a')) as v(k, x, y, t)"


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("", "", {}),
        ("(1, 0.0,", "(1, -0.0::double,", {"x": 1}),
        ("'nan'", "'inf'", {"y": 1}),
        ("1.5::double, null::double, null", "1.5::double, null::double, ''", {"t": 1}),
        ("(1, 0.0,", "(3, 0.0,", {None: 2}),
        ("(2, 1.5", "(1, 0.0, 'nan'::double, 'a'), (2, 1.5", {None: 1}),
    ],
)
def test_cells_are_compared_to_the_bit(old: str, new: str, counts: dict[str | None, int]) -> None:
    with duckdb.connect() as con:
        other = f"(select * from {OTHER.replace(old, new, 1)})"
        compared = Comparison(con, f"(select * from {ONE})", other, ("k",))
        assert compared.counts() == counts
        assert compared.is_equal() == (not counts)
        for column, n in counts.items():
            assert len(compared.cells(column)) == n


def test_a_cell_is_named_by_its_key_and_both_values() -> None:
    with duckdb.connect() as con:
        one, other = "(select 1 as k, 'a' as t)", "(select 1 as k, 'b' as t)"
        (cell,) = Comparison(con, one, other, ("k",)).cells("t")
        assert (cell.key, cell.column, cell.one, cell.other) == ({"k": 1}, "t", "a", "b")
        assert Comparison(con, one, other).counts() == {None: 2}


def test_a_digest_is_by_day_whatever_the_order() -> None:
    with duckdb.connect() as con:
        values = "(date '2024-01-01', 1.0), (date '2024-01-01', 2.0), (date '2024-01-02', 1.0)"
        listed = f"select * from (values {values}) as v(day, x)"
        one, other = (digest_by_day(con, f"({listed} order by x {way})") for way in ("asc", "desc"))
        assert one == other
        assert list(one) == [D1, D2]
        assert digest_by_day(con, f"({listed} limit 2)") != one

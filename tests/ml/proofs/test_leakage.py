"""The leakage audit: ten kinds of leak, planted and found with their raw rows, and a project without any."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest

from ml.errors import LeakFound, NotAuditable, StandsOtherwise, TableNotRebuilt
from ml.proofs.cutoffs import Cutoff, Sample
from ml.proofs.leakage import Audit, Leak, Plan, audit, audit_at, audited
from ml.proofs.rebuild import Table, copied
from ml.proofs.tracing import minimise
from tests.ml.proofs import shops
from tests.ml.proofs.shops import CUTOFF, SPINE, World, features
from tests.project_folder import settings_in

AT = Cutoff(CUTOFF, "a test")
HOUR = timedelta(hours=1)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shops.made_in(settings_in(tmp_path_factory.mktemp("shops")))


def plan_of(world: World, snapshot: Any, tables: tuple[Table, ...], **parts: Any) -> Plan:
    def compiled(first: date, last: date) -> tuple[Table, ...]:
        return shops.compiled(tables, first, last)

    return Plan(snapshot, shops.SOURCES, tables, compiled, **parts)


def audit_of(world: World, *tables: Table, build: bool = True) -> Audit:
    if build:
        world.build(tables)
    with copied(world.workshop) as snapshot:
        return audit_at(plan_of(world, snapshot, tables), [AT])


@dataclass(frozen=True)
class Planted:
    """A leak: feature SQL, and what has to be true of the raw row found, for the order it leaked into."""

    sql: str
    source: str
    is_it: Callable[[Row, Row], bool]


def is_late(row: Row) -> bool:
    return max(row["known_at"], row["event_at"]) > CUTOFF


def is_of_shop(row: Row, order: Row) -> bool:
    return bool(row["shop"] == order["shop"])


PLANTED = {
    "a join without cutoff": Planted(
        "select order_id, prediction_at, day, max(visitors) as x from spine "
        "left join workshop.raw.readings_current as r using (shop, day) group by all",
        "readings",
        lambda row, order: is_of_shop(row, order) and row["day"] == order["day"],
    ),
    "a rate over the whole table": Planted(
        "select order_id, prediction_at, day, "
        "(select sum(is_returned::integer) / count(is_returned) from workshop.raw.orders_current) as x "
        "from spine",
        "orders",
        lambda row, order: row["settled_at"] > CUTOFF,
    ),
    "a window reaching forward": Planted(
        "select order_id, prediction_at, day, count(*) over (partition by shop order by prediction_at "
        "range between interval 1 hour preceding and interval 1 hour following) as x from spine",
        "orders",
        lambda row, order: is_of_shop(row, order) and CUTOFF < row["placed_at"] <= order["placed_at"] + HOUR,
    ),
    "a late backfill used as if on time": Planted(
        "select order_id, prediction_at, spine.day, arg_min(price, reported_at) as x from spine "
        "left join workshop.raw.prices_current as p on p.shop = spine.shop "
        "and p.valid_at = time_bucket(interval 6 hours, prediction_at) group by all",
        "prices",
        lambda row, order: (
            is_of_shop(row, order) and row["valid_at"] <= order["placed_at"] < row["reported_at"]
        ),
    ),
    "a z-score over all rows": Planted(
        "select order_id, prediction_at, day, (amount - avg(amount) over ()) / stddev(amount) over () as x "
        "from spine",
        "orders",
        lambda row, order: row["placed_at"] > CUTOFF,
    ),
    "the label in a feature": Planted(
        "select order_id, prediction_at, spine.day, is_returned as x from spine "
        "join workshop.raw.orders_current as o using (order_id)",
        "orders",
        lambda row, order: row["order_id"] == order["order_id"] and row["settled_at"] > CUTOFF,
    ),
    "a max(at) filter": Planted(
        "select order_id, prediction_at, spine.day, visitors as x from spine "
        "left join workshop.raw.readings_current as r on r.shop = spine.shop "
        "and r.hour_at = (select max(hour_at) from workshop.raw.readings_current)",
        "readings",
        lambda row, order: row["hour_at"] + HOUR > CUTOFF,
    ),
    "a deduplication that keeps the newest": Planted(
        "select order_id, prediction_at, spine.day, price as x from spine asof left join ("
        "select * from workshop.raw.prices_current "
        "qualify row_number() over (partition by shop, valid_at order by reported_at desc) = 1"
        ") as p on p.shop = spine.shop and p.known_at <= spine.prediction_at",
        "prices",
        lambda row, order: is_of_shop(row, order) and row["valid_at"] <= order["placed_at"],
    ),
    "a daily aggregate that includes the present day": Planted(
        "select order_id, prediction_at, spine.day, n as x from spine left join ("
        "select shop, day, count(*) as n from workshop.raw.orders_current group by all) using (shop, day)",
        "orders",
        lambda row, order: is_of_shop(row, order) and row["day"] == order["day"],
    ),
    "a weather hour that has not been observed yet": Planted(
        "select order_id, prediction_at, spine.day, visitors as x from spine "
        "left join workshop.raw.readings_current as r "
        "on r.shop = spine.shop and r.hour_at = date_trunc('hour', prediction_at)",
        "readings",
        lambda row, order: (
            is_of_shop(row, order) and row["hour_at"] <= order["placed_at"] < row["hour_at"] + HOUR
        ),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_found_with_the_raw_row_it_comes_from(world: World, name: str) -> None:
    planted = PLANTED[name]
    found = audit_of(world, SPINE, features(planted.sql, reads=[planted.source]))
    (leak,) = found.leaks
    assert (leak.table, leak.column, leak.cutoff.at) == ("features.order_features", "x", CUTOFF)
    assert leak.is_minimal
    (row,) = leak.rows
    order = order_of(world, leak)
    assert row.source == planted.source
    leaked = world.raw_row(row.source, row.source_file_id, row.row_number)
    assert is_late(leaked)
    assert set(row.known_at.values()) <= set(leaked.values())
    assert min(row.known_at.values()) > CUTOFF >= order["placed_at"]
    assert planted.is_it(leaked, order)
    with pytest.raises(
        LeakFound, match=rf'"features\.order_features", column "x", order_id={order["order_id"]}'
    ):
        found.raise_failed()


def order_of(world: World, leak: Leak) -> Row:
    """The raw row of the order that a leak names."""
    with world.workshop.turn(), world.workshop.connect() as con:
        number, sha = con.execute(
            "select row_number, source_file_id from raw.orders where order_id = ?", [leak.key["order_id"]]
        ).fetchone() or (0, "")
    return world.raw_row("orders", sha, number)


SOUND = features(
    """,
    priced as (
        select order_id, price from spine asof left join workshop.raw.prices_current as p
            on p.shop = spine.shop and p.known_at <= spine.prediction_at
    ),
    seen as (
        select order_id, visitors from spine asof left join workshop.raw.readings_current as r
            on r.shop = spine.shop and r.known_at <= spine.prediction_at
    ),
    past as (
        select spine.order_id, count(o.outcome_known_at <= spine.prediction_at or null) as n_settled,
            count(o.outcome_known_at <= spine.prediction_at and o.is_returned or null) as n_returned,
            count(o.outcome_known_at > spine.prediction_at or null) as n_open,
            sum(case when o.outcome_known_at <= spine.prediction_at then o.refund end) as refunded
        from spine join workshop.raw.orders_current as o
            on o.shop = spine.shop and o.order_known_at <= spine.prediction_at
        group by all
    )
    select order_id, prediction_at, day, price, visitors, n_settled, n_returned, n_open, refunded,
        case when n_settled > 0 then n_returned / n_settled end as x
    from spine join priced using (order_id) join seen using (order_id) join past using (order_id)""",
    reads=["prices", "readings", "orders"],
)
LABELS = Table(
    "labels",
    "order_labels",
    "select order_id, is_returned, outcome_known_at as label_known_at, day from workshop.raw.orders_current "
    "where {days}",
    reads=("raw.orders_current",),
    key=("order_id",),
    types={"label_known_at": "TIMESTAMP"},
)
VISITS = Table(
    "intermediate",
    "int_visits",
    "select shop, known_at, sum(visitors) over (partition by shop order by known_at rows 2 preceding) as n, "
    "cast(known_at as date) as day from workshop.raw.readings_current where {days}",
    reads=("raw.readings_current",),
    key=("shop", "known_at"),
    types={"known_at": "TIMESTAMP"},
    is_published=True,
    reach_days=1,
)


def test_a_sound_project_has_no_findings(world: World) -> None:
    tables = (SPINE, SOUND, LABELS)
    found = audit_of(world, *tables)
    assert (found.leaks, found.otherwise) == ((), ())
    assert set(found.compared) == {table.relation for table in tables}
    assert all(n > 100 for n in found.compared.values())
    found.raise_failed()


def test_labels_and_published_tables_are_audited_by_when_they_are_known(world: World) -> None:
    early = replace(LABELS, sql=LABELS.sql.replace("outcome_known_at as", "order_known_at as"))
    forward = replace(
        VISITS, sql=VISITS.sql.replace("rows 2 preceding", "rows between current row and 1 following")
    )
    found = audit_of(world, early, forward)
    by_table = {leak.table: leak for leak in found.leaks}
    assert by_table["labels.order_labels"].column == "is_returned"
    assert by_table["intermediate.int_visits"].column == "n"
    assert by_table["intermediate.int_visits"].rows[0].source == "readings"


def test_a_cell_that_is_empty_because_nothing_is_known_yet_is_no_answer(world: World) -> None:
    found = audit_of(
        world,
        SPINE,
        features(
            "select order_id, prediction_at, spine.day, o.settled_at is null as x from spine "
            "join workshop.raw.orders_current as o using (order_id)",
            reads=["orders"],
        ),
    )
    assert [leak.how for leak in found.leaks] == ["removed"]


def test_scrambling_finds_what_removing_does_not(world: World) -> None:
    found = audit_of(
        world,
        SPINE,
        features(
            "select order_id, prediction_at, spine.day, coalesce(refund, 0) > 1000 as x from spine "
            "join workshop.raw.orders_current as o using (order_id)",
            reads=["orders"],
        ),
    )
    (leak,) = found.leaks
    assert (leak.how, leak.stands, leak.without) == ("scrambled", False, True)
    (row,) = leak.rows
    leaked = world.raw_row("orders", row.source_file_id, row.row_number)
    assert leaked["order_id"] == leak.key["order_id"]


def test_a_row_that_is_there_only_in_hindsight_is_found(world: World) -> None:
    survivors = features(
        "select order_id, prediction_at, spine.day, 1 as x from spine "
        "join workshop.raw.orders_current as o using (order_id) where not o.is_returned",
        reads=["orders"],
    )
    found = audit_of(world, SPINE, survivors)
    assert {leak.column for leak in found.leaks} == {None}
    assert found.leaks[0].rows[0].source == "orders"


def test_every_column_that_leaks_is_named(world: World) -> None:
    table = features(
        "select order_id, prediction_at, spine.day, is_returned as a, refund as b, amount as c from spine "
        "join (select order_id, is_returned, refund from workshop.raw.orders_current) using (order_id)",
        reads=["orders"],
    )
    found = audit_of(world, SPINE, table)
    assert {leak.column for leak in found.leaks} == {"a", "b"}
    assert all(leak.rows and leak.is_minimal for leak in found.leaks)


def test_a_table_that_does_not_stand_as_its_sql_makes_it_is_not_called_a_leak(world: World) -> None:
    table = features("select order_id, prediction_at, day, amount as x from spine")
    world.build((SPINE, replace(table, sql=table.sql.replace("amount as x", "amount + 1 as x"))))
    found = audit_of(world, SPINE, table, build=False)
    assert (found.leaks, found.otherwise) == ((), ("features.order_features",))
    with pytest.raises(StandsOtherwise, match="order_features"):
        found.raise_failed()


def test_sql_that_fails_on_what_was_known_then_is_named(world: World) -> None:
    table = features(
        "select order_id, prediction_at, day, if((select count(*) from workshop.raw.orders_current "
        "where is_returned is null) > 0, error('empty'), 1) as x from spine",
        reads=["orders"],
    )
    with pytest.raises(TableNotRebuilt, match="order_features"):
        audit_of(world, SPINE, table)


def test_what_cannot_be_audited_is_refused() -> None:
    with pytest.raises(NotAuditable, match="view"):
        audited([replace(SPINE, is_view=True)])
    with pytest.raises(NotAuditable, match="unique_together"):
        audited([replace(SPINE, key=())])


@pytest.fixture
def plan(world: World) -> Iterator[Plan]:
    world.build((SPINE, LABELS))
    with copied(world.workshop) as snapshot:
        yield plan_of(world, snapshot, (SPINE, LABELS))


def test_cutoffs_are_repeated_by_their_seed_and_lie_where_rows_are_due(plan: Plan) -> None:
    first, again, other = (
        audit(plan, Sample(5, seed=seed, zones=("America/New_York",))).cutoffs for seed in (3, 3, 4)
    )
    assert first == again != other
    assert len(first) == 5
    why = {cutoff.why: cutoff.at for cutoff in first}
    assert why["the clock changes in America/New_York"].date() == date(2024, 3, 10)
    assert {"sampled", "a row was known very late"} < set(why)
    placed = {row[2] for day in shops.DAYS for row in shops.orders(day)}
    assert all(cutoff.at in placed for cutoff in first if cutoff.why != "a row was known very late")


def test_a_sample_stays_within_its_days(plan: Plan) -> None:
    day = shops.DAYS[2]
    (cutoff,) = audit(plan, Sample(1, first_day=day, last_day=day)).cutoffs
    assert cutoff.at.date() == day


@pytest.mark.parametrize("needed", [{3}, {3, 90}, {0, 50, 99}, set(range(4))])
def test_rows_are_reduced_to_those_that_are_needed(needed: set[int]) -> None:
    left, is_minimal = minimise(range(100), lambda items: needed <= set(items), 200)
    assert (set(left), is_minimal) == (needed, True)


def test_when_the_questions_are_used_up_it_says_so() -> None:
    left, is_minimal = minimise(range(100), lambda items: {3, 90} <= set(items), 5)
    assert {3, 90} <= set(left)
    assert not is_minimal

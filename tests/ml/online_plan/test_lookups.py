"""Lookups of compiled plans against DuckDB running the same SQL, row by row and table by table."""

import random
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from ml.errors import FeatureNotComputed, FeatureSqlUnfit
from ml.online_plan.bound import bind
from ml.online_plan.kinds import of_arrow
from ml.online_plan.plan import compile_plan

NOON = datetime(2024, 3, 1, 12)
RANDOM = random.Random(7)  # noqa: S311  chooses test data

WIND = pa.table(
    {
        "place": [RANDOM.choice(["a", "b", None]) for _ in range(200)],
        "side": pa.array([RANDOM.choice([1, 2, None]) for _ in range(200)], pa.int32()),
        "known_at": pa.array([NOON + timedelta(minutes=7 * n) for n in range(200)], pa.timestamp("us")),
        "measured_at": pa.array(
            [NOON + timedelta(minutes=7 * n - RANDOM.choice([1, 30, 90])) for n in range(200)],
            pa.timestamp("us"),
        ),
        "corrected_at": pa.array(
            [RANDOM.choice([None, NOON + timedelta(minutes=7 * n + 60)]) for n in range(200)],
            pa.timestamp("us"),
        ),
        "superseded_at": pa.array(
            [RANDOM.choice([None, NOON + timedelta(minutes=7 * n + 90)]) for n in range(200)],
            pa.timestamp("us"),
        ),
        "speed": [RANDOM.choice([None, float(n)]) for n in range(200)],
    }
)
REQUEST = pa.table(
    {
        "request_row": pa.array(range(300), pa.int32()),
        "place": [RANDOM.choice(["a", "b", "c", None]) for _ in range(300)],
        "side": pa.array([RANDOM.choice([1, 2, 3, None]) for _ in range(300)], pa.int64()),
        "asked_at": pa.array(
            [
                RANDOM.choice([None, *[NOON + timedelta(minutes=RANDOM.randint(-60, 1500))] * 9])
                for _ in range(300)
            ],
            pa.timestamp("us"),
        ),
    }
)

ASOF = """
select request.request_row, wind.speed * 2 as doubled, wind.known_at as known_at
from request
asof left join online.wind as wind on request.place = wind.place and request.asked_at {bound} wind.known_at
"""
AS_OF = """
with spine as (select *, asked_at - interval 1 hour as before_at from request),
looked_up as (
    select spine.*, answered.speed, answered.told_at
    from spine
    left join (
        with questions as (select distinct before_at as asked_at, place as asked_1{also_asked} from spine),
        answers as (
            select place as answer_1, side as answer_2, speed, known_at as told_at,
                corrected_at, superseded_at, {order} as answer_at
            from online.wind
        ),
        newest as (
            select asked_at, asked_1{also_grouped}, unnest(max_by(answers, answer_at))
            from questions
            inner join answers on asked_1 = answer_1 and asked_at >= answer_at{conditions}
            group by asked_at, asked_1{also_grouped}
        )
        select asked_at, asked_1{also_grouped}, speed, told_at from newest
    ) as answered on before_at = answered.asked_at and place = answered.asked_1{also_joined}
)
select request_row, before_at, speed, coalesce(speed, -1) as filled, told_at from looked_up
"""
SIDE = {
    "also_asked": ", side + 0 as asked_2",
    "also_grouped": ", asked_2",
    "also_joined": " and side + 0 = answered.asked_2",
}
PLAIN = {"also_asked": "", "also_grouped": "", "also_joined": "", "order": "known_at", "conditions": ""}
HOLDS = (
    " and coalesce(corrected_at, timestamp '0001-01-01') <= asked_at"
    " and coalesce(superseded_at, timestamp '9999-12-31') > asked_at"
)
SAME = {
    "asof, the bound included": ASOF.format(bound=">="),
    "asof, the bound excluded": ASOF.format(bound=">"),
    "as_of": AS_OF.format(**PLAIN),
    "as_of by two keys": AS_OF.format(**PLAIN | SIDE | {"conditions": " and asked_2 = answer_2"}),
    "as_of within an hour": AS_OF.format(
        **PLAIN | {"conditions": " and answer_at >= asked_at - interval '1 hours'"}
    ),
    "as_of of versions": AS_OF.format(**PLAIN | {"conditions": HOLDS}),
    "as_of ordered otherwise": AS_OF.format(
        **PLAIN | {"order": "measured_at", "conditions": " and told_at <= asked_at"}
    ),
}


def _kinds(table: pa.Table) -> dict[str, str]:
    return {field.name: of_arrow(field.type) for field in table.schema}


def _compiled(sql: str) -> object:
    return compile_plan("wind_features", sql, _kinds(REQUEST), {"wind": _kinds(WIND)})


@pytest.mark.parametrize("name", SAME)
def test_a_lookup_finds_what_duckdb_finds(name: str) -> None:
    plan = compile_plan("wind_features", SAME[name], _kinds(REQUEST), {"wind": _kinds(WIND)})
    bound = bind(plan, {"wind": WIND})
    found = bound.table(bound.rows(REQUEST.to_pylist()))
    with duckdb.connect() as con:
        con.execute("create schema online")
        con.register("rows", WIND)
        con.execute("create table online.wind as from rows order by known_at")
        con.register("request", REQUEST)
        expected = con.execute(f"from ({SAME[name]}) order by request_row").to_arrow_table()
    assert found.column_names == expected.column_names
    for column in expected.column_names:
        assert found[column].to_pylist() == expected[column].to_pylist(), column
    assert 20 < expected["known_at" if "known_at" in expected.column_names else "told_at"].null_count < 280


REFUSED = {
    "select request_row from request where place = 'a'": (1, "drops rows"),
    "select distinct request_row from request": (1, "drops rows"),
    "select request_row\nfrom request\njoin online.wind using (place)": (3, "may join one lookup"),
    "select request_row from request\nleft join online.wind as w on w.place = request.place": (
        2,
        "one lookup",
    ),
    "select request_row from request union all select request_row from request": (1, "one select"),
    "select\n    request_row,\n    count(*) over () as n\nfrom request": (3, "other rows"),
    "select request_row, place\nfrom request\ngroup by all": (1, "grouping"),
    "select request_row, nothing\nfrom request": (1, "no such column"),
    "select from": (None, "Expected"),
    ASOF.format(bound=">=").replace("request.place = wind.place", "request.side = wind.place"): (
        4,
        "is text",
    ),
    AS_OF.format(**PLAIN).replace("as answer_1", "|| '' as answer_1"): (None, "compute them upstream"),
    AS_OF.format(**PLAIN).replace("before_at = answered.asked_at and", ""): (None, "joined by"),
}


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_no_lookup_is_refused_with_its_place(sql: str) -> None:
    line, reason = REFUSED[sql]
    with pytest.raises(FeatureSqlUnfit, match=f"(?s)wind_features.*{reason}") as refused:
        _compiled(sql)
    assert line is None or refused.value.line == line


def test_values_that_can_t_be_computed_name_their_row() -> None:
    sql = "select request_row, timezone(place, timezone('UTC', asked_at)) as here from request"
    plan = compile_plan("wind_features", sql, _kinds(REQUEST), {})
    rows = [{"place": "UTC", "asked_at": NOON}, {"place": "Atlantis", "asked_at": NOON}]
    with pytest.raises(FeatureNotComputed, match=r"row 1.*Atlantis"):
        bind(plan, {}).rows(rows)

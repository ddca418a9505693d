"""Compiled expressions against DuckDB's own answers, over values that are awkward alone and in pairs."""

import itertools
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from ml.errors import FeatureSqlUnfit
from ml.online_plan.bound import bind
from ml.online_plan.kinds import of_arrow
from ml.online_plan.plan import compile_plan

INTEGERS = (0, 1, -1, 2, 7, -7, 60, 10**6, -(2**31), None)
REALS = (0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 1e300, 1e-300, 0.1 + 0.2, float("nan"), float("inf"), None)
TEXTS = ("", "a", "Ab", "ä", "NYC", None)
TIMES = (
    datetime(2013, 3, 10, 6, 59, 59, 999999),
    datetime(2013, 3, 10, 7, 0),
    datetime(2013, 11, 3, 5, 30),
    datetime(1969, 12, 31, 23, 59, 30),
    datetime(2000, 2, 29, 0, 0, 0, 1),
    datetime(2026, 12, 31, 12),
    None,
)
DAYS = (date(2000, 2, 29), date(1969, 12, 31), date(2013, 11, 3), None)
TRUTHS = (True, False, None)
ZONES = ("America/New_York", "UTC", "Asia/Kolkata", "Pacific/Honolulu", "Australia/Lord_Howe")


def _pairs(values: tuple[object, ...]) -> tuple[list[object], list[object]]:
    pairs = list(itertools.product(values, repeat=2))
    return [one for one, _ in pairs], [other for _, other in pairs]


def _table() -> pa.Table:
    columns = {
        "i": (*_pairs(INTEGERS), pa.int64()),
        "x": (*_pairs(REALS), pa.float64()),
        "s": (*_pairs(TEXTS), pa.string()),
        "t": (*_pairs(TIMES), pa.timestamp("us")),
        "d": (*_pairs(DAYS), pa.date32()),
        "b": (*_pairs(TRUTHS), pa.bool_()),
        "zone": (list(ZONES), list(ZONES), pa.string()),
    }
    n = max(len(first) for first, _, _ in columns.values())
    told = {"request_row": pa.array(range(n), pa.int32())}
    for name, (first, second, kind) in columns.items():
        for suffix, values in (("", first), ("2", second)):
            told[name + suffix] = pa.array(list(itertools.islice(itertools.cycle(values), n)), kind)
    return pa.table(told)


TABLE = _table()

SAME = """
i + i2 | i - i2 | i * i2 | i / i2 | i // i2 | i % i2 | -i | abs(i) | i / nullif(i2, 0)
(i + 1) * 2 - i2 / 3
x + x2 | x - x2 | x * x2 | x / x2 | -x | abs(x) | x % 2.5 | x + i | i / x | x * 0.5 | 0.5 + x | x - 1
i * 1.5 | cast(i * 1.5 as double) / 7 | i + 0.25 | cast(i as double) | x * 1e3
round(x) | floor(x) | ceil(x) | floor(i) | sqrt(abs(x)) | ln(abs(x) + 1) | exp(-abs(x))
cast(case when x between -1e9 and 1e9 then x end as integer) | cast(i * 0.5 as integer)
cast(b as integer)
i = i2 | i <> i2 | i < i2 | i <= i2 | i > i2 | i >= i2 | i between i2 and 7 | i in (1, 2, null)
i in (0, 7)
x = x2 | x <> x2 | x < x2 | x <= x2 | x > x2 | x >= x2 | x is distinct from x2
x is not distinct from x2
i is distinct from i2 | i = x | i < x | s = s2 | s < s2 | s >= s2 | t < t2 | t = t2 | d < d2 | d <= t
b and b2 | b or b2 | not b | b is true | b is not true | b is null | b = b2 | not (b and i > 0)
i is not null
coalesce(i, 0) | coalesce(i, i2, 5) | coalesce(x, i) | coalesce(s, 'none') | ifnull(i, 3) | nullif(i, i2)
nullif(s, '')
greatest(i, i2) | least(i, i2, 3) | greatest(x, x2) | least(x, x2) | greatest(t, t2) | greatest(i, x)
case when i > 0 then 1 when i < 0 then -1 end | case i when 1 then 'one' when 2 then 'two' else s end
case when b then x else i end | case when b is null then null else i end | if(i > 0, i, -i)
case when i2 > 0 then i % i2 else 0 end
s || s2 | s || '-' || i | 'is ' || b | s || i || s2 || i2
t - interval '2 hours' | t + interval 90 minute | interval '1 day' + t | t + to_minutes(i % 1000)
d + interval '1 hour'
t + interval (i % 100) hour | d + 3 | d - d2 | cast(t as date) | cast(d as timestamp)
cast(d as timestamp) - interval '1 second'
datediff('minute', t, t2) | datediff('hour', t, t2) | datediff('day', t, t2) | datediff('second', t, t2)
date_diff('day', d, d2) | datediff('microsecond', t, t2) | datediff('minute', timestamp '2000-01-01', t)
datediff('hour', d, t)
date_trunc('hour', t) | date_trunc('day', t) | date_trunc('minute', t) | date_trunc('day', d)
date_part('hour', t) | extract(minute from t) | hour(t) | minute(t) | second(t) | isodow(t)
dayofweek(t) | dayofyear(t)
date_part('isodow', d) | year(t) | month(t) | day(d) | quarter(t) | week(t) | date_part('isoyear', t)
epoch(t)
strftime(t, '%Y%m%dT%H%MZ') | strftime(t, '%Y-%j %H:%M:%S') | strftime(d, '%d.%m.%Y 100%%')
timezone(zone, timezone('UTC', t)) | date_part('hour', timezone('America/New_York', timezone('UTC', t)))
timezone('UTC', t) at time zone 'Asia/Kolkata' | timezone('UTC', timezone('UTC', t))
case zone when 'UTC' then t else timezone(zone, timezone('UTC', t)) end | i + b::integer
(x > 0)::integer
"""
CASES = [one.strip() for line in SAME.strip().splitlines() for one in line.split(" | ")]

REFUSED = {
    "sum(i)": "aggregate",
    "lag(i) over (order by t)": "window",
    "(select 1)": "as_of",
    "random()": "rand",
    "s like 'a%'": "like",
    "cast(s as integer)": "upstream",
    "cast(x as varchar)": "upstream",
    "round(x, 2)": "upstream",
    "t + interval '1 month'": "month",
    "timezone(zone, t)": "upstream",
    "strftime(t, '%A')": "strftime",
    "i = s": "mixed",
    "i + b": "numbers",
    "nowhere + 1": "no such column",
    "datediff('week', t, t2)": "datediff",
    "i in (select i from request)": "as_of",
    "md5(s)": "md5",
}


def _sql(expression: str) -> str:
    return f"select\n    request_row,\n    {expression} as value\nfrom request"


def _plan(expression: str) -> object:
    return compile_plan("t", _sql(expression), {f.name: of_arrow(f.type) for f in TABLE.schema}, {})


@pytest.mark.parametrize("expression", CASES)
def test_an_expression_is_what_duckdb_computes_to_the_bit(expression: str) -> None:
    plan = compile_plan("t", _sql(expression), {f.name: of_arrow(f.type) for f in TABLE.schema}, {})
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("request", TABLE)
        query = f"select value from ({_sql(expression)}) order by request_row"
        expected = con.execute(query).to_arrow_table()["value"]
    bound = bind(plan, {})
    found = bound.table(bound.rows(TABLE.to_pylist()))["value"]
    is_decimal = pa.types.is_decimal(expected.type)
    wanted = [float(one) if is_decimal and one is not None else one for one in expected.to_pylist()]
    got = [float(one) if is_decimal and one is not None else one for one in found.to_pylist()]
    assert [repr(one) for one in got] == [repr(one) for one in wanted]
    assert any(one is not None for one in wanted), "the case shows nothing"


@pytest.mark.parametrize(("expression", "reason"), REFUSED.items())
def test_what_is_not_computed_alike_is_refused_with_its_line(expression: str, reason: str) -> None:
    with pytest.raises(FeatureSqlUnfit, match=f"(?s)t.*{reason}") as refused:
        _plan(expression)
    assert refused.value.line == 3


def test_clocks_agree_over_a_century_of_changes() -> None:
    """Every zone change is a trap: one instant each 11 days and some hours, in zones of all kinds."""
    zones = (
        "America/New_York",
        "Europe/Dublin",
        "Africa/Casablanca",
        "Asia/Tehran",
        "America/Sao_Paulo",
        *ZONES,
    )
    instants = [datetime(1925, 1, 1) + timedelta(days=11.37) * n for n in range(3400)]
    table = pa.table(
        {
            "request_row": pa.array(range(len(instants)), pa.int32()),
            "t": pa.array(instants, pa.timestamp("us")),
            "zone": [zones[n % len(zones)] for n in range(len(instants))],
        }
    )
    sql = "select request_row, timezone(zone, timezone('UTC', t)) as value from request"
    bound = bind(compile_plan("t", sql, {f.name: of_arrow(f.type) for f in table.schema}, {}), {})
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("request", table)
        expected = con.execute(f"select value from ({sql}) order by request_row").fetchall()
    assert [(one,) for one in bound.table(bound.rows(table.to_pylist()))["value"].to_pylist()] == expected


def test_a_branch_not_taken_is_not_computed() -> None:
    sql = _sql("case when zone = 'nowhere' then t else timezone(zone, timezone('UTC', t)) end")
    bound = bind(compile_plan("t", sql, {f.name: of_arrow(f.type) for f in TABLE.schema}, {}), {})
    row = bound.row({"zone": "nowhere", "t": datetime(2020, 1, 1, tzinfo=UTC)})
    assert bound.table([row])["value"].to_pylist() == [datetime(2020, 1, 1)]

"""Each rule of the linter, broken and kept; and its claims about DuckDB, measured."""

# ruff: noqa: E501  one query a line reads best

from collections.abc import Iterator

import duckdb
import pytest

from ml.proofs import sql_functions as functions
from ml.proofs.relations import Relation
from ml.proofs.sql_lint import lint
from ml.proofs.sql_rules import RULES

TYPES = {"id": "INTEGER", "g": "varchar", "n": "int", "d": "DECIMAL(10, 2)", "x": "double"}
TYPES |= {"r": "real", "f": "float8"}
ROWS = Relation("raw", "rows", TYPES | {"at": "TIMESTAMP"}, frozenset({frozenset({"id"})}))
BY_GROUP = Relation("raw", "groups", {"g": "VARCHAR", "at": "TIMESTAMP", "v": "INTEGER", "w": "DOUBLE"})
UNIQUE = Relation("raw", "unique_groups", BY_GROUP.types, frozenset({frozenset({"g", "at"})}))
RELATIONS = (ROWS, BY_GROUP, UNIQUE)

PLANTED = {
    "select sum(x) as y from workshop.raw.rows": "float_sum",
    "select sum(r) as y from workshop.raw.rows": "float_sum",
    "select sum(f) as y from workshop.raw.rows": "float_sum",
    "select id, lag(sum(x)) over (order by id) as y from workshop.raw.rows group by id": "float_sum",
    "select g, avg(x) as y from workshop.raw.rows group by g": "float_sum",
    "select sum(n / 2) as y from workshop.raw.rows": "float_sum",
    "select sum(x * d) as y from workshop.raw.rows": "float_sum",
    "select sum(distinct x) as y from workshop.raw.rows": "float_sum",
    "select sum(x) filter (where n > 0) as y from workshop.raw.rows": "float_sum",
    "select sum(date_part('epoch', at)) as y from workshop.raw.rows": "float_sum",
    "select g, sum(x order by n) as y from workshop.raw.rows group by g": "float_sum",
    "with a as (select n / 3 as third from workshop.raw.rows) select sum(third) as y from a": "float_sum",
    "select sum(z) as y from (select d as z from workshop.raw.rows union all select x from workshop.raw.rows)": (
        "float_sum"
    ),
    "select g, n from workshop.raw.rows group by all having sum(x) > 0": "float_sum",
    "select stddev(n) as y from workshop.raw.rows": "float_statistic",
    "select g, var_pop(d) as y from workshop.raw.rows group by g": "float_statistic",
    "select corr(n, id) as y from workshop.raw.rows": "float_statistic",
    "select covar_samp(x, n) as y from workshop.raw.rows": "float_statistic",
    "select regr_slope(n, id) as y from workshop.raw.rows": "float_statistic",
    "select fsum(x) as y from workshop.raw.rows": "float_statistic",
    "select product(n) as y from workshop.raw.rows": "float_statistic",
    "select id, sum(x) over (partition by g order by id) as y from workshop.raw.rows": "float_window",
    "select id, avg(x) over w as y from workshop.raw.rows window w as (order by id)": "float_window",
    "select id, stddev(n) over (partition by g) as y from workshop.raw.rows": "float_window",
    "select sum(unknown_function(x)) as y from workshop.raw.rows": "unknown_type",
    "select any_value(n) as y from workshop.raw.rows": "unordered",
    "select g, first(n) as y from workshop.raw.rows group by g": "unordered",
    "select g, last(n) as y from workshop.raw.rows group by g": "unordered",
    "select g, list(n) as y from workshop.raw.rows group by g": "unordered",
    "select g, array_agg(n) as y from workshop.raw.rows group by g": "unordered",
    "select string_agg(g, ',') as y from workshop.raw.rows": "unordered",
    "select g, first(n order by at) as y from workshop.raw.rows group by g": "order_tie",
    "select list(n order by at) as y from workshop.raw.rows": "order_tie",
    "select g, arg_max(n, at) as y from workshop.raw.rows group by g": "extreme_tie",
    "select g, max_by(n, at) as y from workshop.raw.rows group by g": "extreme_tie",
    "select id, row_number() over () as y from workshop.raw.rows": "window_unordered",
    "select id, first_value(n) over (partition by g) as y from workshop.raw.rows": "window_unordered",
    "select id, row_number() over (partition by g order by at) as y from workshop.raw.rows": "window_tie",
    "select id, lag(n) over (order by at) as y from workshop.raw.rows": "window_tie",
    "select id, lead(n) over w as y from workshop.raw.rows window w as (partition by g order by at)": "window_tie",
    "select id, sum(n) over (order by at rows 3 preceding) as y from workshop.raw.rows": "window_tie",
    "select id, min(n) over (w rows 3 preceding) as y from workshop.raw.rows window w as (order by at)": (
        "window_tie"
    ),
    "select id, v from workshop.raw.rows as r asof join workshop.raw.groups as s on r.g = s.g and r.at >= s.at": (
        "asof_tie"
    ),
    "select distinct on (g) g, n from workshop.raw.rows order by g, at": "distinct_tie",
    "select id from workshop.raw.rows limit 3": "limit",
    "select id, at from workshop.raw.rows order by at limit 3": "limit",
    "select id from workshop.raw.rows union all select id from workshop.raw.rows order by id limit 3": "limit",
    "select g, (select v from workshop.raw.groups as s where s.g = r.g limit 1) as v from workshop.raw.rows as r": (
        "limit"
    ),
    "select id from workshop.raw.rows using sample 10": "sample",
    "select id from workshop.raw.rows tablesample 10 percent": "sample",
    "select id, v from workshop.raw.rows positional join workshop.raw.groups": "positional_join",
    "select id, now() as y from workshop.raw.rows": "clock",
    "select id, current_timestamp as y from workshop.raw.rows": "clock",
    "select id from workshop.raw.rows where at < current_date": "clock",
    "select id, today() as y from workshop.raw.rows": "clock",
    "select id, age(at) as y from workshop.raw.rows": "clock",
    "select id, random() as y from workshop.raw.rows": "volatile",
    "select id, uuid() as y from workshop.raw.rows": "volatile",
    "select id, gen_random_uuid() as y from workshop.raw.rows": "volatile",
    "select id, getenv('HOME') as y from workshop.raw.rows": "volatile",
    "select approx_quantile(n, 0.5) as y from workshop.raw.rows": "sketch",
    "select g, mode(n) as y from workshop.raw.rows group by g": "sketch",
    "select rowid, id from workshop.raw.rows": "unreadable",
    "select id from somewhere.else, workshop.raw.rows": "unreadable",
    "select from where": "unreadable",
}

CLEAN = [
    "select sum(n) as y, avg(n) as z, sum(d) as a, avg(d) as b, count(*) as c from workshop.raw.rows",
    "select sum(cast(x as decimal(18, 6))) as y from workshop.raw.rows",
    "select sum(n) / nullif(count(n), 0) as y from workshop.raw.rows",
    "select sum(n * 1.5) as y from workshop.raw.rows",
    "select sum(x order by id) as y, stddev(x order by id) as z from workshop.raw.rows",
    "select g, sum(x order by at, id) as y from workshop.raw.rows group by g",
    "select id, sum(n) over (partition by g order by at) as y from workshop.raw.rows",
    "select id, sum(n) over (order by at range interval '1 hour' preceding) as y from workshop.raw.rows",
    "select id, sum(n) over (order by at, id rows 3 preceding) as y from workshop.raw.rows",
    "select max(x) as y, min(g) as z, median(x) as a, count(distinct x) as b from workshop.raw.rows",
    "select id, any_value(x) as y from workshop.raw.rows group by id",
    "select g, any_value(g) as y, count(*) as z from workshop.raw.rows group by g",
    "select g, first(n order by at, id) as y, list(n order by n) as z from workshop.raw.rows group by g",
    "select string_agg(g, ',' order by g) as y from workshop.raw.rows",
    "select g, max_by(n, (at, id)) as y, arg_max(n, id) as z from workshop.raw.rows group by g",
    "select id, row_number() over (partition by g order by at, id) as y from workshop.raw.rows",
    "select id, rank() over (order by at) as y from workshop.raw.rows",
    "select id, lag(n) over w as y from workshop.raw.rows window w as (partition by g order by at, id)",
    "select g, row_number() over (order by g) as y from workshop.raw.rows group by g",
    "with a as (select distinct g from workshop.raw.rows) select g, row_number() over (order by g) as y from a",
    "with a as (select g, n, row_number() over (partition by g order by id) as place from workshop.raw.rows), "
    "b as (select g, n from a where place = 1) select g, lag(n) over (order by g) as y from b",
    "with a as (select id, 'one' as kind, at from workshop.raw.rows "
    "union all select id, 'two' as kind, at from workshop.raw.rows) "
    "select id, row_number() over (order by at, id, kind) as y from a",
    "select id, v from workshop.raw.rows as r asof join workshop.raw.unique_groups as s "
    "on r.g = s.g and r.at >= s.at",
    "with a as (select r.id, s.v from workshop.raw.rows as r left join workshop.raw.unique_groups as s "
    "on r.g = s.g and r.at = s.at) select id, lag(v) over (order by id) as y from a",
    "with a as (select r.id, s.at from workshop.raw.rows as r left join workshop.raw.unique_groups as s on r.g = s.g) "
    "select id, row_number() over (order by id, at) as y from a",
    "with a as (select g, v from workshop.raw.unique_groups where at is null) "
    "select g, lag(v) over (order by g) as y from a",
    "select distinct on (g) g, n from workshop.raw.rows order by g, id",
    "select id, at from workshop.raw.rows order by at, id limit 3",
    "select g, sum(n) as y from workshop.raw.rows group by g order by g limit 3",
    "select count(*) as y from workshop.raw.rows limit 1",
    "select id from workshop.raw.rows where exists (select 1 from workshop.raw.groups limit 1)",
    "select id, hash(id) % 100 as y, age(at, timestamp '2024-01-01') as z from workshop.raw.rows",
]


@pytest.mark.parametrize(("sql", "rule"), PLANTED.items())
def test_what_does_not_repeat_is_found(sql: str, rule: str) -> None:
    found = lint("planted", sql, RELATIONS)
    assert {finding.rule for finding in found} == {rule}, [str(finding) for finding in found]


@pytest.mark.parametrize("sql", CLEAN)
def test_what_repeats_is_let_through(sql: str) -> None:
    assert [str(finding) for finding in lint("clean", sql, RELATIONS)] == []


def test_every_rule_is_planted() -> None:
    assert set(PLANTED.values()) == set(RULES) - {"unproven"}
    assert functions.unproven_aggregates() == frozenset()


@pytest.mark.parametrize(
    "broken",
    [
        # A join that multiplies rows, a key that is not selected on, a branch that is not told apart.
        "with a as (select r.id, s.v from workshop.raw.rows as r join workshop.raw.groups as s on r.g = s.g) "
        "select id, lag(v) over (order by id) as y from a",
        "with a as (select r.id from workshop.raw.rows as r left join workshop.raw.unique_groups as s on r.g = s.g) "
        "select id, row_number() over (order by id) as y from a",
        "with a as (select r.id, s.at from workshop.raw.rows as r left join workshop.raw.unique_groups as s "
        "on r.g >= s.g) select id, row_number() over (order by id, at) as y from a",
        "with a as (select g from workshop.raw.unique_groups where at is not null) "
        "select g, row_number() over (order by g) as y from a",
        "with a as (select id from workshop.raw.rows union all select id from workshop.raw.rows) "
        "select id, row_number() over (order by id) as y from a",
        "with a as (select id, unnest([1, 2]) as i from workshop.raw.rows) "
        "select id, row_number() over (order by id) as y from a",
        "with a as (select r.id, s.v from workshop.raw.rows as r full join workshop.raw.unique_groups as s "
        "on r.g = s.g and r.at = s.at) select id, row_number() over (order by id) as y from a",
        "with a as (select g, n, count(*) as c from workshop.raw.rows group by rollup (g, n)) "
        "select g, row_number() over (order by g, n) as y from a",
    ],
)
def test_no_key_is_claimed_that_does_not_hold(broken: str) -> None:
    assert [finding.rule for finding in lint("planted", broken, RELATIONS)] == ["window_tie"]


def test_a_finding_names_its_place_and_the_way_out() -> None:
    sql = "select\n    g,\n    sum(x) as y\nfrom workshop.raw.rows\ngroup by g"
    (found,) = lint("daily_sums", sql, RELATIONS)
    assert (found.table, found.line, found.fragment) == ("daily_sums", 3, "sum(rows.x)")
    for told in ("daily_sums", "line 3", "sum(rows.x)", "order of the rows", "DECIMAL"):
        assert told in str(found)
    (clock,) = lint("daily_sums", "select\n    id,\n    now() as y\nfrom workshop.raw.rows", RELATIONS)
    assert clock.line == 3


@pytest.fixture(scope="module")
def wild() -> Iterator[duckdb.DuckDBPyConnection]:
    """A million rows whose values lie sixteen orders of magnitude apart."""
    with duckdb.connect() as con:
        con.execute(
            "create table wild as select i, (hash(i) % 100)::int as g, (hash(i * 7) % 100000)::int as n, "
            "(hash(i * 7) % 100000)::decimal(12, 2) as d, hash(i) % 2 = 0 as b, "
            "pow(10, (hash(i * 3) % 16)::int - 8) * ((hash(i * 11) % 1000003) / 1000003.0 - 0.5) as x "
            "from range(1000000) as r (i)"
        )
        yield con


def differing(con: duckdb.DuckDBPyConnection, expressions: list[str]) -> set[str]:
    """Expressions whose values by group are not the same, to the bit, with 1, 2 and 4 threads."""
    listed = ", ".join(f"{one} as c{at}" for at, one in enumerate(expressions))
    runs = []
    for threads in (1, 2, 4, 4):
        con.execute(f"set threads = {threads}")
        runs.append(con.execute(f"select {listed} from wild group by g order by g").to_arrow_table())
    return {one for at, one in enumerate(expressions) if any(run[at] != runs[0][at] for run in runs)}


def test_what_is_called_repeatable_is(wild: duckdb.DuckDBPyConnection) -> None:
    arguments = {
        "b": ("bool", "count_if", "countif"),
        "n, 0.3": ("quantile",),
        "n, i": ("regr",),
        "": ("count_star",),
    }
    skipped = {"bitstring_agg", "histogram", "histogram_exact"}  # their results are as long as their input
    calls = []
    for name in sorted(functions.REPEATABLE - skipped):
        given = next((told for told, starts in arguments.items() if name.startswith(starts)), "n")
        calls.append(f"{name}({given})")
    sums = [
        "sum(n)",
        "avg(n)",
        "sum(d)",
        "avg(d)",
        "median(x)",
        "max(x)",
        "sum(x order by i)",
        "avg(x order by i)",
    ]
    assert differing(wild, calls + sums) == set()


def test_what_is_called_unrepeatable_is(wild: duckdb.DuckDBPyConnection) -> None:
    calls = [
        "sum(x)",
        "avg(x)",
        "stddev(n)",
        "var_pop(d)",
        "corr(n, i)",
        "regr_slope(n, i)",
        "fsum(x)",
        "skewness(n)",
    ]
    calls += ["arg_max(x, n % 10)", "approx_quantile(x, 0.3)"]
    found: set[str] = set()
    for _ in range(5):  # a busy machine may give one thread all the work
        found |= differing(wild, calls) if found != set(calls) else set()
    assert found == set(calls)

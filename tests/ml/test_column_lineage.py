"""Which columns values of a raw relation get into, through tables that are made from each other."""

import pytest
from sqlglot.errors import SqlglotError

from ml.column_lineage import made_from, traced
from ml.proofs.rebuild import Table

RAW = {
    "raw.readings": {"meter": "VARCHAR", "watts": "DOUBLE"},
    "raw.meters": {"meter": "VARCHAR", "kind": "VARCHAR"},
}
SUMS = Table(
    "intermediate",
    "sums",
    'select meter, sum(watts) as watts, count(*) as n from "workshop"."raw"."readings" group by meter',
    types={"meter": "VARCHAR", "watts": "DOUBLE", "n": "BIGINT"},
)
KINDS = Table(
    "staging",
    "kinds",
    'select meter, upper(kind) as kind from "workshop"."raw"."meters"',
    types={"meter": "VARCHAR", "kind": "VARCHAR"},
)
FEATURES = Table(
    "features",
    "meter_features",
    """
    with joined as (
        select kinds.meter, kinds.kind, sums.watts as watts_sum, sums.n / 24 as n_an_hour
        from "workshop"."staging"."kinds" as kinds
        left join "workshop"."intermediate"."sums" as sums on kinds.meter = sums.meter
    )
    select *, watts_sum > 10 and kind = 'OLD' as is_suspect from joined
    """,
    types={"meter": "VARCHAR", "kind": "VARCHAR", "watts_sum": "DOUBLE", "n_an_hour": "DOUBLE"},
)
TABLES = (SUMS, KINDS, FEATURES)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raw.readings", {"watts_sum", "n_an_hour", "is_suspect"}),
        ("raw.meters", {"meter", "kind", "is_suspect"}),
    ],
)
def test_values_are_followed_through_tables(source: str, expected: set[str]) -> None:
    assert made_from(TABLES, RAW, [source])["meter_features"] == expected


def test_a_count_of_rows_is_made_from_what_is_counted() -> None:
    assert made_from(TABLES, RAW, ["raw.readings"])["sums"] == {"meter", "watts", "n"}
    assert made_from(TABLES, RAW, ["raw.meters"])["sums"] == set()


def test_what_nobody_reads_gets_nowhere() -> None:
    raw = {**RAW, "raw.weather": {"temp": "DOUBLE"}}
    assert not any(made_from(TABLES, raw, ["raw.weather"]).values())


def test_columns_are_told_with_their_relation() -> None:
    found = traced(SUMS.sql, {"workshop.raw.readings": RAW["raw.readings"]})
    assert found == {
        "meter": [("workshop.raw.readings", "meter")],
        "watts": [("workshop.raw.readings", "watts")],
        "n": [],
    }


def test_what_is_no_sql_is_not_traced() -> None:
    with pytest.raises(SqlglotError):
        traced("select from where", {})

"""Published tables: days replaced, editions read, columns that come and go, rows refused."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from ml.errors import BadBatch, NothingPublished, UnknownColumn, UnknownTable, UnknownTag
from ml.lake.published import PublishBatch, Published
from ml.settings import Settings
from tests.ml.published_rows import batch, day, rows, values


@pytest.fixture
def published(settings: Settings) -> Published:
    """Published tables of an empty project."""
    return Published(settings)


def test_before_the_first_edition_readers_are_told_and_make_nothing(settings: Settings) -> None:
    with pytest.raises(NothingPublished, match="no edition yet"):
        Published(settings).edition()
    assert not settings.home.exists()


def test_what_was_published_is_read_back_in_plain_types(published: Published) -> None:
    table = pa.table(
        {
            "day": pa.array([day(1), day(0)], pa.date32()),
            "name": pa.array(["b", None], pa.large_string()),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "at": pa.array([datetime(2024, 1, 1, 12), None], pa.timestamp("ns")),
            "share": [0.25, None],
            "n": pa.array([1, 2], pa.int16()),
            "big": pa.array([2**40, None], pa.int64()),
            "total": pa.array([Decimal("1.50"), None], pa.decimal128(38, 2)),
            "is_good": [True, None],
        }
    )
    edition = published.publish({"t": PublishBatch(table, day(0), day(1))})

    found = published.read("t", edition=edition)

    assert [str(kind) for kind in found.schema.types] == [
        *(
            "date32[day]",
            "string",
            "string",
            "timestamp[us]",
            "double",
            "int32",
            "int64",
            "decimal128(38, 2)",
            "bool",
        ),
    ]
    assert found.to_pylist() == table.take([1, 0]).to_pylist()
    assert published.read("t", edition=edition, columns=["n", "name"]).to_pylist() == [
        {"n": 2, "name": None},
        {"n": 1, "name": "b"},
    ]


def test_pyiceberg_and_duckdb_read_the_same_rows(published: Published) -> None:
    import duckdb
    from pyiceberg.catalog.sql import SqlCatalog

    edition = published.publish({"t": batch(0, 3, 1)})
    published.publish({"t": batch(1, 1, 2)})
    catalog = SqlCatalog("headwater", uri=published._settings.catalog_url, warehouse="unused")
    table = catalog.load_table(("published", "t"))
    scanned = table.scan(snapshot_id=edition.snapshots["t"]).to_arrow()
    files = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]
    newest = duckdb.execute("select day, id, value from read_parquet(?, hive_partitioning = false)", [files])

    assert (
        scanned.sort_by([("day", "ascending"), ("id", "ascending")]).to_pylist() == rows(0, 3, 1).to_pylist()
    )
    assert sorted(newest.fetchall()) == sorted(
        tuple(row.values()) for row in published.read("t", edition=published.edition()).to_pylist()
    )
    assert table.spec().fields[0].name == "day"


def test_days_are_replaced_also_by_nothing_and_others_stay(published: Published) -> None:
    published.publish({"t": batch(0, 4, 1)})
    edition = published.publish({"t": PublishBatch(rows(1, 1, 2), day(1), day(2))})

    found = published.read("t", edition=edition).to_pylist()

    assert [(row["day"], row["value"]) for row in found] == [
        *((day(0), 1), (day(0), 1), (day(1), 2), (day(1), 2), (day(3), 1), (day(3), 1)),
    ]
    assert published.days("t", edition) == [day(0), day(1), day(3)]
    assert published.read("t", edition=edition, first_day=day(1), last_day=day(2)).num_rows == 2
    assert published.read("t", edition=edition, last_day=day(0)).num_rows == 2
    assert published.read("t", edition=edition, first_day=day(9)).schema == rows(0, 1).schema


def test_an_edition_names_one_snapshot_of_every_table(published: Published) -> None:
    first = published.publish({"a": batch(0, 2, 1), "b": batch(0, 2, 1)})
    second = published.publish({"b": batch(0, 1, 2)})

    assert (first.id, second.id, published.edition().id) == (1, 2, 2)
    assert second.snapshots["a"] == first.snapshots["a"]
    assert second.snapshots["b"] != first.snapshots["b"]
    assert dict(published.edition(1).snapshots) == dict(first.snapshots)
    assert values(published, "b", 1) == [1, 1, 1, 1]
    assert values(published, "b", 2) == [2, 2, 1, 1]


def test_an_empty_table_is_published_too(published: Published) -> None:
    edition = published.publish({"t": PublishBatch(rows(0, 1).slice(0, 0), day(0), day(0))})

    assert published.read("t", edition=edition).to_pylist() == []
    assert published.days("t", edition) == []


def test_only_the_newest_days_are_kept_whatever_is_published_late(published: Published) -> None:
    published.publish({"t": batch(0, 5, 1, keep=3)})
    assert published.days("t", published.edition()) == [day(2), day(3), day(4)]

    published.publish({"t": batch(5, 1, 1, keep=3)})
    late = published.publish({"t": batch(0, 4, 9, keep=3)})

    assert published.days("t", late) == [day(3), day(4), day(5)]
    assert values(published, "t", late.id) == [9, 9, 1, 1, 1, 1]


def test_a_table_may_be_replaced_as_a_whole(published: Published) -> None:
    published.publish(
        {"dated": PublishBatch(rows(0, 3, 1)), "plain": PublishBatch(rows(0, 1, 1).drop("day"))}
    )
    edition = published.publish(
        {"dated": PublishBatch(rows(7, 1, 2)), "plain": PublishBatch(rows(0, 2, 2).drop("day"))}
    )

    assert published.days("dated", edition) == [day(7)]
    assert published.days("plain", edition) == []
    assert (
        published.read("plain", edition=edition).to_pylist()
        == [
            {"id": "a", "value": 2},
            {"id": "b", "value": 2},
        ]
        * 2
    )
    assert values(published, "plain", 1) == [1, 1]


def test_columns_come_and_go_and_older_editions_keep_theirs(published: Published) -> None:
    published.publish({"t": batch(0, 2, 1, old=5)})
    edition = published.publish({"t": batch(1, 1, 2, new="x")})

    found = published.read("t", edition=edition)

    assert sorted(found.column_names) == ["day", "id", "new", "value"]
    assert found["new"].to_pylist() == [None, None, "x", "x"]
    assert published.read("t", edition=published.edition(1))["old"].to_pylist() == [5] * 4


def test_a_column_of_another_type_comes_with_all_days_or_not_at_all(published: Published) -> None:
    published.publish({"t": batch(0, 2, 1, size=5)})

    with pytest.raises(BadBatch, match=r'column "size".*expected all days of the table'):
        published.publish({"a": batch(0, 1), "t": batch(1, 1, 2, size="large")})
    assert published.edition().id == 1

    edition = published.publish({"t": batch(0, 2, 2, size="large")})
    assert published.read("t", edition=edition)["size"].to_pylist() == ["large"] * 4
    assert published.read("t", edition=published.edition(1))["size"].to_pylist() == [5] * 4


def test_a_column_that_comes_back_is_not_filled_with_what_it_once_was(published: Published) -> None:
    published.publish({"t": batch(0, 2, 1, size=5)})
    published.publish({"t": batch(1, 1, 2)})

    with pytest.raises(BadBatch, match="all days of the table in one publish"):
        published.publish({"t": batch(1, 1, 3, size=7)})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            PublishBatch(rows(0, 3), day(0), day(1)),
            f"have days from {day(0)} to {day(2)}; expected days from",
        ),
        (PublishBatch(rows(0, 1).drop("day"), day(0), day(1)), "have no column day of type DATE"),
        (PublishBatch(pa.table({"day": ["2024-05-01"]}), day(0), day(0)), "have no column day of type DATE"),
        (
            PublishBatch(pa.table({"day": pa.array([None], pa.date32())}), day(0), day(0)),
            "have no day in 1 rows",
        ),
        (PublishBatch(rows(0, 1), day(1), day(0)), "a first day that is not after the last"),
        (PublishBatch(rows(0, 1, x=None), day(0), day(0)), 'have a column "x" of type null'),
        (PublishBatch(rows(0, 1, x=[1]), day(0), day(0)), 'have a column "x" of type list'),
    ],
)
def test_rows_that_do_not_fit_are_refused_before_anything_is_written(
    settings: Settings, given: PublishBatch, told: str
) -> None:
    with pytest.raises(BadBatch) as raised:
        Published(settings).publish({"good": batch(0, 1), "t": given})
    assert told in str(raised.value)
    assert '"t"' in str(raised.value)
    assert not settings.home.exists()


def test_unknown_names_are_told_with_the_nearest(published: Published) -> None:
    edition = published.publish({"features": batch(0, 1)})

    with pytest.raises(UnknownTable, match=r'no published table "feature"\. Did you mean \'features\'\?'):
        published.read("feature", edition=edition)
    with pytest.raises(UnknownColumn, match=r'no column "valeu"\. Did you mean \'value\'\?'):
        published.read("features", edition=edition, columns=["valeu"])
    with pytest.raises(NothingPublished, match="no edition 7"):
        published.edition(7)
    with pytest.raises(UnknownTag, match='"champion"'):
        published.tagged("champion")


def test_tables_and_columns_carry_their_words(published: Published) -> None:
    described = replace(batch(0, 1), description="Two rows a day.", columns={"value": "What it is worth."})
    published.publish({"t": described})

    table = published._load("t")
    assert table.properties["comment"] == "Two rows a day."
    assert table.schema().find_field("value").doc == "What it is worth."

"""Online tables in memory: what is held, what a lookup finds, and that many threads may ask at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from ml.errors import FeatureRowsMismatch, UnknownTable
from ml.lake.editions import Edition
from ml.lake.published import PublishBatch, Published
from ml.online import OnlineStore, save_online_tables
from ml.settings import Settings

NOON = datetime(2024, 3, 1, 12)
EDITION = Edition(3, NOON, {"wind": 5, "rain": 6})
SQL = """
select request_row, wind.speed
from request
asof left join online.wind as wind on request.place = wind.place and request.asked_at >= wind.known_at
"""


def wind(n_hours: int = 4, first: datetime = NOON) -> pa.Table:
    """Measured each hour at two places; written newest first."""
    rows = [
        (place, first + timedelta(hours=hour)) for hour in reversed(range(n_hours)) for place in ("a", "b")
    ]
    return pa.table(
        {
            "day": pa.array([at.date() for _, at in rows], pa.date32()),
            "place": [place for place, _ in rows],
            "known_at": pa.array([at for _, at in rows], pa.timestamp("us")),
            "speed": [at.hour + (0.5 if place == "b" else 0.0) for place, at in rows],
        }
    )


def request(*asked: tuple[str, datetime]) -> pa.Table:
    """Relation `request`."""
    return pa.table(
        {
            "request_row": pa.array(range(len(asked)), pa.int32()),
            "place": pa.array([place for place, _ in asked], pa.string()),
            "asked_at": pa.array([at for _, at in asked], pa.timestamp("us")),
        }
    )


def test_it_says_what_it_holds() -> None:
    store = OnlineStore({"wind": wind(), "rain": wind(2, NOON + timedelta(hours=1))}, EDITION)
    assert [(t.name, t.n_rows) for t in store.tables] == [("rain", 4), ("wind", 8)]
    assert store.as_of == datetime(2024, 3, 1, 15, tzinfo=UTC), "the newest fact of all tables"
    assert store.oldest == datetime(2024, 3, 1, 13, tzinfo=UTC), "from here on all tables have rows"
    assert (store.edition_id, store.edition_at, store.snapshots) == (
        3,
        NOON.replace(tzinfo=UTC),
        EDITION.snapshots,
    )


def test_a_lookup_finds_the_newest_row_known_by_then() -> None:
    store = OnlineStore({"wind": wind()}, EDITION)
    asked = [
        ("b", NOON),
        ("a", NOON - timedelta(microseconds=1)),
        ("a", NOON + timedelta(minutes=61)),
        ("c", NOON),
    ]
    assert store.features(request(*asked), SQL).column("speed").to_pylist() == [12.5, None, 13.0, None]


@pytest.mark.parametrize("n_rows", [4, 5, 1000])
def test_both_ways_of_joining_answer_in_order(n_rows: int) -> None:
    store = OnlineStore({"wind": wind()}, EDITION)
    asked = [("ab"[row % 2], NOON + timedelta(hours=row % 4)) for row in range(n_rows)]
    expected = [at.hour + (0.5 if place == "b" else 0.0) for place, at in asked]
    assert store.features(request(*asked), SQL).column("speed").to_pylist() == expected


def test_sql_that_drops_or_doubles_rows_is_refused() -> None:
    store = OnlineStore({"wind": wind()}, EDITION)
    for sql in (SQL.replace("left join", "join"), "from request union all from request"):
        with pytest.raises(FeatureRowsMismatch):
            store.features(request(("c", NOON)), sql)


def test_feature_sql_reads_nothing_but_its_tables(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("request_row\n0\n")
    store = OnlineStore({"wind": wind()}, EDITION)
    with pytest.raises(duckdb.PermissionException):
        store.features(request(("a", NOON)), f"from read_csv('{secret}')")


def test_many_threads_ask_at_once() -> None:
    store = OnlineStore({"wind": wind(24)}, EDITION)

    def ask(hour: int) -> float:
        speeds = store.features(request(("a", NOON + timedelta(hours=hour))), SQL).column("speed").to_pylist()
        return float(speeds[0])

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, [*range(24)] * 10))
    assert found == [float((12 + hour) % 24) for hour in range(24)] * 10


def test_an_edition_is_saved_and_loaded_as_it_was(settings: Settings, tmp_path: Path) -> None:
    published = Published(settings)
    day = NOON.date()
    edition = published.publish({"wind": PublishBatch(wind(), day, day)})
    published.publish({"wind": PublishBatch(wind(1), day, day)})
    save_online_tables(published, edition, ["wind"], tmp_path / "online")
    for store in (
        OnlineStore.from_folder(tmp_path / "online"),
        OnlineStore.from_published(published, edition, ["wind"]),
    ):
        assert (store.edition_id, store.snapshots, store.tables[0].n_rows) == (1, dict(edition.snapshots), 8)
        assert store.features(request(("a", NOON + timedelta(days=1))), SQL).column("speed").to_pylist() == [
            15.0
        ]
    with pytest.raises(UnknownTable, match='"wimd"'):
        OnlineStore.from_published(published, edition, ["wimd"])

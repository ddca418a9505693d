"""Late corrections of real flights change features from when they were known, and none before; on DST days.

Two corrections of one day land out of order, with some of other days, of the weather and of the schedule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from assets.compiled_tables import audit_plan
from ml.arrivals import plan
from ml.computed import Arrival
from ml.lake.editions import Edition
from ml.lake.workshop import Workshop
from ml.online import OnlineStore
from ml.proofs.cutoffs import Cutoff
from ml.proofs.leakage import Audit, audit_at
from ml.proofs.rebuild import copied
from tests.assets.corrected_flights import (
    World,
    copy_of_project,
    delays_again,
    landed,
    noted,
    other_aircraft,
    other_delays,
    other_weather,
    project,
)
from tests.assets.test_tables import differing

DAY = timedelta(days=1)
BY_DAY = ("route_", "number_")  # summed up at midnight: these change at the first midnight after a correction


@dataclass(frozen=True)
class Season:
    """The worlds around one day: as first told, with corrections, and with corrected files from the start."""

    dst_day: date
    first_known: datetime
    then_known: datetime
    original: World
    corrected: World
    as_first_corrected: World
    as_then_corrected: World


@pytest.fixture(scope="module", params=[date(2013, 3, 10), date(2013, 11, 3)], ids=str)
def season(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Season:
    day: date = request.param
    folder = tmp_path_factory.mktemp("corrections")
    made = project(folder / "project")
    first, last = day - 8 * DAY, day + 3 * DAY
    files = landed(folder / "as_landed", first, last)
    first_known, then_known = (
        datetime(day.year, day.month, day.day, 18),
        datetime.combine(day + DAY, datetime.min.time()),
    )
    then_known += timedelta(hours=16, minutes=45)
    at = (first_known.isoformat(), then_known.isoformat())
    flights, day_before = f"flights/{day}.csv", f"flights/{day - DAY}.csv"
    weather, schedule = f"weather/{day}.csv", f"schedules/{day - 6 * DAY}.csv"
    first_told = {
        flights: noted(files[flights], other_delays, at[0]),
        weather: noted(files[weather], other_weather, at[0]),
        schedule: noted(files[schedule], other_aircraft, at[0]),
    }
    then_told = {
        flights: noted(first_told[flights], delays_again, at[1]),
        day_before: noted(files[day_before], other_delays, at[1]),
    }

    def world(name: str, landed_files: Mapping[str, str]) -> World:
        return World(made, folder / name).take_in(landed_files).build(first, last)

    original = world("original", files)
    corrected = original.copy(folder / "corrected")
    calendar = corrected.calendar
    for late in (then_told, first_told):  # what was known last lands first
        corrected.take_in(late)
        arrivals = [Arrival(path.split("/")[0], date.fromisoformat(path[-14:-4]), "") for path in late]
        computed = [first + n * DAY for n in range((last - first).days + 1)]
        for due in plan(arrivals, computed=computed, lookback_days=calendar.lookback_days):
            corrected.build(due.first_day, due.last_day)
    return Season(
        day,
        first_known,
        then_known,
        original,
        corrected,
        as_first_corrected=world("first", files | first_told),
        as_then_corrected=world("then", files | first_told | then_told),
    )


def test_features_before_a_correction_was_known_are_as_without_it(season: Season) -> None:
    assert n_features(season.corrected, f"< '{season.first_known}'") > 1000
    assert not different_features(season.corrected, season.original, f"< '{season.first_known}'")
    # The fault this finds: corrected rows used as if they had come on time.
    assert different_features(season.as_then_corrected, season.original, f"< '{season.first_known}'")


def test_features_after_corrections_are_as_if_the_corrected_files_had_come_first(season: Season) -> None:
    between = f"between '{season.first_known}' and '{season.then_known - timedelta(seconds=1)}'"
    later = f">= '{season.then_known}'"
    assert not different_features(season.corrected, season.as_first_corrected, between, without=BY_DAY)
    assert not different_features(season.corrected, season.as_then_corrected, later, without=BY_DAY)
    # The test can fail: the corrections do change what features are then.
    assert different_features(season.corrected, season.original, between, without=BY_DAY)
    assert different_features(season.corrected, season.as_first_corrected, later, without=BY_DAY)


def test_sums_of_days_change_at_the_first_midnight_after_a_correction(season: Season) -> None:
    midnight = datetime.combine(season.dst_day + DAY, datetime.min.time())
    before = f"< '{midnight}'"
    between = f"between '{midnight}' and '{midnight + DAY - timedelta(seconds=1)}'"
    later = f">= '{midnight + DAY}'"
    assert not different_features(season.corrected, season.original, before, only=BY_DAY)
    assert not different_features(season.corrected, season.as_first_corrected, between, only=BY_DAY)
    assert not different_features(season.corrected, season.as_then_corrected, later, only=BY_DAY)
    assert different_features(season.corrected, season.original, between, only=BY_DAY)


def test_labels_are_the_corrected_ones_and_tell_since_when(season: Season) -> None:
    rows = compare(
        season.corrected,
        season.as_then_corrected,
        "select count(*), count(*) filter (a.label_known_at <> b.label_known_at) "
        "from one.labels.flight_labels as a full join other.labels.flight_labels as b "
        "using (flight_id, day, is_late, has_aircraft)",
    )
    (n, n_later), *_ = rows
    labels = ask(season.as_then_corrected, "select count(*) from labels.flight_labels")
    assert [(n,)] == labels
    times = compare(
        season.corrected,
        season.as_then_corrected,
        "select distinct a.label_known_at from one.labels.flight_labels as a "
        "join other.labels.flight_labels as b using (flight_id) where a.label_known_at <> b.label_known_at",
    )
    assert n_later > 50
    assert {at for (at,) in times} == {season.first_known, season.then_known}


def test_nothing_leaks_around_corrections(season: Season) -> None:
    instants = (
        season.first_known - timedelta(hours=1),
        season.first_known,
        season.first_known + timedelta(hours=5, minutes=20),
        season.then_known - timedelta(minutes=1),
        season.then_known + timedelta(hours=2),
    )
    found = audited(season.corrected, instants)
    assert (found.leaks, found.otherwise) == ((), ())
    assert min(found.compared.values()) > 0
    assert found.compared["labels.flight_labels"] > 5000


def test_a_label_that_says_it_was_known_before_its_correction_leaks(season: Season, tmp_path: Path) -> None:
    leaky = season.corrected.copy(tmp_path, project=copy_of_project(season.corrected, tmp_path / "project"))
    labels = leaky.settings.project / "dbt_project" / "models" / "labels" / "flight_labels.sql"
    sql = labels.read_text()
    labels.write_text(sql.replace("greatest(arrival_known_at, corrected_at)", "arrival_known_at"))
    assert labels.read_text() != sql
    leaky.build(season.dst_day - DAY, season.dst_day + DAY)

    found = audited(leaky, [season.first_known - timedelta(minutes=1)])
    leak = next(one for one in found.leaks if one.column == "is_late")
    assert leak.table == "labels.flight_labels"
    assert {row.source for row in leak.rows} == {"flights"}
    assert all(min(row.known_at.values()) >= season.first_known for row in leak.rows)


def audited(world: World, instants: Iterable[datetime]) -> Audit:
    """The leakage audit of a world at these instants."""
    with copied(Workshop(world.settings)) as snapshot:
        plan = audit_plan(world.runner, snapshot, world.calendar, only=())
        return audit_at(plan, [Cutoff(at, "a correction is near") for at in instants])


def test_days_made_again_after_corrections_are_all_days_made_anew(season: Season, tmp_path: Path) -> None:
    anew = season.corrected.copy(tmp_path)
    anew.build(season.dst_day - 8 * DAY, season.dst_day + 3 * DAY, anew=True)
    tables = [n["relation_name"] for n in anew.nodes() if n["config"]["materialized"] != "view"]
    assert len(tables) > 15
    assert differing(season.corrected.file, anew.file, tables) == {}


def test_the_endpoint_s_sql_answers_as_the_tables_do(season: Season) -> None:
    world = season.corrected
    with Workshop(world.settings).turn() as turn:
        sql = world.runner.online_sql("flight_features")
        names = [name for name in online_tables(world) if f"online.{name}" in sql]
        with turn.connect() as con:
            tables = {n: con.execute(f"from {online_tables(world)[n]}").to_arrow_table() for n in names}
            wanted = con.execute(
                "select * exclude (day) from features.flight_features where prediction_at between $1 and $2 "
                "order by flight_id",
                [season.first_known - timedelta(hours=3), season.then_known + timedelta(hours=3)],
            ).to_arrow_table()
            request = con.execute(
                "select cast(row_number() over (order by flight_id) - 1 as integer) as request_row, "
                "carrier_id, flight_number, origin_id, dest_id, aircraft_id, scheduled_dep_at, "
                "scheduled_arr_at from features.flight_spine "
                "where prediction_at between $1 and $2 order by flight_id",
                [season.first_known - timedelta(hours=3), season.then_known + timedelta(hours=3)],
            ).to_arrow_table()
    store = OnlineStore(tables, Edition(1, datetime.now(UTC), dict.fromkeys(tables, 1)))
    assert len(names) == 12
    assert request.num_rows > 500
    for rows in (request, request.slice(0, 3)):
        renumbered = rows.set_column(0, "request_row", pa.array(range(rows.num_rows), pa.int32()))
        found = store.features(renumbered, sql).drop_columns(["request_row"])
        assert found.cast(wanted.schema).equals(wanted.slice(0, rows.num_rows).combine_chunks())


def online_tables(world: World) -> dict[str, str]:
    return {node["name"]: node["relation_name"].partition(".")[2] for node in world.nodes()}


def columns(world: World, only: tuple[str, ...], without: tuple[str, ...]) -> str:
    names = [name for (name, *_) in ask(world, "describe features.flight_features")]
    kept = [
        name
        for name in names
        if name in {"flight_id", "prediction_at"}
        or ((not only or name.startswith(only)) and not (without and name.startswith(without)))
    ]
    return ", ".join(kept)


def n_features(world: World, when: str) -> int:
    ((n,),) = ask(world, f"select count(*) from features.flight_features where prediction_at {when}")
    return int(n)


def different_features(
    one: World, other: World, when: str, only: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> int:
    """How many rows of features, asked for at these times, only one of the worlds has."""
    wanted = columns(one, only, without)
    rows = [
        f"select {wanted} from {name}.features.flight_features where prediction_at {when}"
        for name in ("one", "other")
    ]
    ((n,),) = compare(
        one,
        other,
        f"select count(*) from (({rows[0]} except all {rows[1]}) union all ({rows[1]} except all {rows[0]}))",
    )
    return int(n)


def ask(world: World, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(world.file), read_only=True) as con:
        return con.execute(sql).fetchall()


def compare(one: World, other: World, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        con.execute(f"attach '{one.file}' as one (read_only); attach '{other.file}' as other (read_only)")
        return con.execute(sql).fetchall()

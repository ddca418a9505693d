"""Taking files in: once, corrected, again from the kept copies, and with values looked up elsewhere."""

from datetime import date
from typing import Any

import pytest

from ml.errors import BadDeclaration, FilesRefused, KeptCopyDamaged, LookupMissing
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import Source, rebuild_raw, take_in
from tests.ml.readings import DAY, HEADER, all_raw, ask, declared, lines, put, put_days, row, take

METERS = Source.declare(
    {
        "name": "meters",
        "description": "Where meters hang. One row per meter.",
        "cadence": "once",
        "columns": [{"name": "meter", "type": "text"}, {"name": "zone", "type": "text", "nullable": True}],
        "key": ["meter"],
        "event_at": "timestamp '2024-01-01'",
        "facts": [{"name": "meter", "columns": ["*"], "known_at": "timestamp '2024-01-01'"}],
        "corrections": {"known_at": "loaded_at"},
        "bad_rows": {"action": "fail"},
    }
)
LOOKUP: dict[str, Any] = {
    "lookups": [
        {
            "name": "zone",
            "column": "meter",
            "source": "meters",
            "key": "meter",
            "value": "zone",
            "also": {"m3": "Asia/Tokyo"},
        }
    ],
    "derived": {"clock": "local_time(zone, read_at)", "back": "utc_time(zone, clock)"},
    "facts": [
        {"name": "reading", "columns": ["*"], "known_at": "back + interval 1 hour"},
        {"name": "state", "columns": ["state"], "known_at": "timezone('UTC', timezone('UTC', clock))"},
    ],
}


def test_every_row_knows_its_file_its_place_there_and_its_times(settings: Settings) -> None:
    file = take(settings, put(settings, lines())).raise_failed().taken[0]

    rows = ask(settings, "from raw.readings order by row_number")
    described = ask(settings, "select column_name, column_type from (describe raw.readings)")
    assert dict(described) == {
        **{"meter": "VARCHAR", "clock_hour": "BIGINT", "value": "DOUBLE", "state": "VARCHAR"},
        **{"read_at": "TIMESTAMP", "source_file_id": "VARCHAR", "row_number": "INTEGER", "day": "DATE"},
        **{"event_at": "TIMESTAMP", "known_at": "TIMESTAMP", "loaded_at": "TIMESTAMP"},
        "corrected_at": "TIMESTAMP",
    }
    assert [row[6] for row in rows] == list(range(1, 9))
    assert {row[5] for row in rows} == {file.source_file_id}
    assert {row[7] for row in rows} == {DAY}
    assert str(rows[2][8]) == "2024-05-01 02:30:00"
    assert str(rows[2][9]) == "2024-05-01 02:40:00"
    assert {row[10] for row in rows} == {file.loaded_at}


def test_the_same_bytes_again_change_nothing(settings: Settings) -> None:
    paths = put_days(settings, 3)
    first = take(settings, *paths).raise_failed()
    before = all_raw(settings)

    again = take(settings, *paths).raise_failed()

    assert (len(first.taken), len(again.taken), len(again.unchanged)) == (3, 0, 3)
    assert again.unchanged == first.taken
    assert all_raw(settings) == before


def test_corrected_bytes_are_a_new_version_beside_the_old(settings: Settings) -> None:
    take(settings, *put_days(settings, 2)).raise_failed()
    old = ask(settings, "from raw.readings order by all")
    take(settings, put(settings, lines(5, value="30"))).raise_failed()

    rows = ask(settings, "from raw.readings order by all")
    assert set(old) < set(rows)
    assert len(rows) == len(old) + 5
    current = ask(
        settings, "select day::varchar, count(*), any_value(value) from raw.readings_current group by 1"
    )
    assert sorted(current) == [("2024-05-01", 5, 30.0), ("2024-05-02", 8, 20.5)]


def test_old_bytes_landed_again_after_a_correction_are_current_again(settings: Settings) -> None:
    for value in ("1", "2", "1"):
        take(settings, put(settings, lines(value=value))).raise_failed()

    assert ask(settings, "select distinct value from raw.readings_current") == [(1.0,)]
    assert ask(settings, "select count(*) from raw.readings_current") == [(8,)]
    assert ask(settings, "select count(*), count(distinct loaded_at) from raw.files") == [(3, 3)]


def test_a_bad_correction_leaves_the_good_version_current(settings: Settings) -> None:
    take(settings, put(settings, lines())).raise_failed()

    assert take(settings, put(settings, [HEADER])).failed

    assert ask(settings, "select count(*) from raw.readings_current") == [(8,)]


def test_two_days_may_have_the_same_bytes(settings: Settings) -> None:
    paths = [put(settings, lines(), name) for name in ("2024-05-01.csv", "2024-05-02.csv")]
    take(settings, *paths).raise_failed()

    counts = ask(
        settings, "select day::varchar, count(*) from raw.readings_current group by all order by all"
    )
    assert counts == [("2024-05-01", 8), ("2024-05-02", 8)]


def test_current_rows_of_a_day_are_found_without_reading_the_others(settings: Settings) -> None:
    take(settings, *put_days(settings, 4)).raise_failed()
    plan = ask(settings, "explain select * from raw.readings_current where day = date '2024-05-02'")[0][1]
    scan = plan[plan.index("raw.readings\n") if "raw.readings\n" in plan else plan.index("raw.readings") :]

    assert "day='2024-05-02'" in scan.replace("│", "").replace("\n", "").replace(" ", "")


def test_kept_copies_are_the_bytes_and_raw_can_be_made_again_from_them(settings: Settings) -> None:
    sources = [declared(**LOOKUP), METERS]
    put(settings, ["meter,zone", "m1,Europe/Paris", "m2,"], "meters.csv", "meters")
    readings = [HEADER, row(1), row(2, meter="m2"), row(3, meter="m3"), row(4), row(5, value="cold")]
    _take_all(settings, sources)
    put(settings, readings)
    _take_all(settings, sources)
    put(settings, ["meter,zone", "m1,America/New_York"], "meters.csv", "meters")
    put(settings, readings, "2024-05-02.csv")
    _take_all(settings, sources)
    put(settings, lines(3))
    _take_all(settings, sources)
    before = all_raw(settings), all_raw(settings, "meters")
    kept = {path.read_bytes() for path in (settings.home / "files").rglob("*.csv")}

    rebuild_raw(Workshop(settings), settings, sources)
    again = all_raw(settings), all_raw(settings, "meters")
    (settings.home / "workshop.duckdb").unlink()
    rebuild_raw(Workshop(settings), settings, sources)

    assert again == before
    assert (all_raw(settings), all_raw(settings, "meters")) == before
    assert kept == {path.read_bytes() for path in (settings.home / "files").rglob("*.csv")}
    assert len(before[0][0]) == 3 + 3 + 3
    bad = {(line, rule) for _, _, _, line, _, _, rule, _ in before[0][3]}
    assert bad == {
        (5, "is of type real"),
        (2, "gives a time for reading_known_at"),
        (2, "gives a time for state_known_at"),
    }


def _take_all(settings: Settings, sources: list[Source]) -> None:
    for source in reversed(sources):
        paths = sorted((settings.landing / source.name).glob("*.csv"))
        take(settings, *paths, source=source).raise_failed()


def test_looked_up_values_and_clocks(settings: Settings) -> None:
    put(settings, ["meter,zone", "m1,Europe/Paris"], "meters.csv", "meters")
    source = declared(**LOOKUP)
    meters = sorted((settings.landing / "meters").glob("*.csv"))
    take(settings, *meters, source=METERS).raise_failed()
    take(settings, put(settings, [HEADER, row(1), row(2, meter="m3")]), source=source).raise_failed()

    rows = ask(
        settings,
        "select meter, event_at::varchar, reading_known_at::varchar, state_known_at::varchar, "
        "known_at::varchar from raw.readings order by 1",
    )
    assert rows == [
        ("m1", "2024-05-01 01:30:00", "2024-05-01 02:30:00", "2024-05-01 03:30:00", "2024-05-01 03:30:00"),
        ("m3", "2024-05-01 02:30:00", "2024-05-01 03:30:00", "2024-05-01 11:30:00", "2024-05-01 11:30:00"),
    ]


def test_a_source_waits_for_the_one_it_looks_values_up_in(settings: Settings) -> None:
    path = put(settings, lines())

    with pytest.raises(LookupMissing, match=r'looks "zone" up in source "meters".*Take in "meters" first'):
        take(settings, path, source=declared(**LOOKUP))

    take(
        settings, put(settings, ["meter,zone", "m1,UTC"], "meters.csv", "meters"), source=METERS
    ).raise_failed()
    assert len(take(settings, path, source=declared(**LOOKUP)).taken) == 1


def test_a_lookup_of_no_column_is_told_with_the_nearest(settings: Settings) -> None:
    meters = put(settings, ["meter,zone", "m1,UTC"], "meters.csv", "meters")
    take(settings, meters, source=METERS).raise_failed()
    wrong = declared(**LOOKUP | {"lookups": [LOOKUP["lookups"][0] | {"value": "zones"}]})

    with pytest.raises(BadDeclaration, match=r'"zones" at "lookups\.zone\.value".*Did you mean \'zone\''):
        take(settings, put(settings, lines()), source=wrong)


def test_a_changed_declaration_makes_all_rows_again(settings: Settings) -> None:
    take(settings, *put_days(settings, 3)).raise_failed()
    later = declared(facts=[{"name": "reading", "columns": ["*"], "known_at": "read_at + interval 2 hours"}])

    intake = take(settings, put(settings, lines(), "2024-05-09.csv"), source=later).raise_failed()

    assert len(intake.taken) == 1
    assert ask(settings, "select count(*), min(known_at - event_at)::varchar from raw.readings") == [
        (32, "02:00:00")
    ]
    assert ask(settings, "select count(*) from raw.files") == [(4,)]


def test_words_and_owners_are_no_change_of_the_declaration(settings: Settings) -> None:
    take(settings, *put_days(settings, 1)).raise_failed()
    columns = [dict(column, description="Other words.") for column in declared().model_dump()["columns"]]

    assert declared(columns=columns, owners=("team:other",)).digest() == declared().digest()
    assert declared(end=date(2024, 6, 1)).digest() == declared().digest()
    assert declared(min_rows=3).digest() != declared().digest()


def test_a_copy_that_no_longer_fits_the_declaration_is_told(settings: Settings) -> None:
    take(settings, *put_days(settings, 2)).raise_failed()
    with pytest.raises(FilesRefused, match="at least 20"):
        rebuild_raw(Workshop(settings), settings, [declared(min_rows=20)])


def test_a_damaged_copy_is_told_and_nothing_changes(settings: Settings) -> None:
    take(settings, *put_days(settings, 2)).raise_failed()
    before = all_raw(settings)
    copy = next((settings.home / "files" / "readings" / "2024-05-02").glob("*.csv"))
    copy.write_bytes(copy.read_bytes().replace(b"20.5", b"20.6"))

    with pytest.raises(KeptCopyDamaged, match=copy.name):
        rebuild_raw(Workshop(settings), settings, [declared()])

    assert all_raw(settings) == before


def test_files_may_be_taken_in_inside_a_turn(settings: Settings) -> None:
    workshop = Workshop(settings)
    with workshop.turn():
        take_in(workshop, settings, declared(), put_days(settings, 2)).raise_failed()
        with workshop.connect() as con:
            assert con.execute("select count(*) from raw.readings").fetchone() == (16,)

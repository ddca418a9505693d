"""Corrections: from when to when each version of a row was what was known, by the declared policy."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import Source, rebuild_raw
from tests.ml.readings import COLUMN_POLICY, HEADER, ask, declared, put, put_days, row, take

AT = {n: datetime(2024, 5, n) for n in range(1, 32)}
TIMES = "corrected_at, superseded_at"
VERSIONS = f"select clock_hour, value, {TIMES} from raw.readings_versions order by all nulls first"


def corrected(*values: float, at: datetime | None = None, first_hour: int = 0) -> list[str]:
    """A file of readings from `first_hour` on, corrected at a time that the file itself gives."""
    told = at.isoformat() if at else ""
    rows = [f"{row(first_hour + n, value=str(value))},{told}" for n, value in enumerate(values)]
    return [f"{HEADER},noted_at", *rows]


def land(settings: Settings, content: list[str], source: Source | None = None) -> None:
    take(settings, put(settings, content), source=source or declared(**COLUMN_POLICY)).raise_failed()


def test_a_day_with_one_file_has_one_version_of_each_row(settings: Settings) -> None:
    land(settings, corrected(1, 2))
    assert ask(settings, VERSIONS) == [(0, 1.0, None, None), (1, 2.0, None, None)]


def test_a_changed_row_is_known_from_its_correction_and_an_unchanged_one_as_before(
    settings: Settings,
) -> None:
    land(settings, corrected(1, 2))
    land(settings, corrected(1, 3, at=AT[9]))

    assert ask(settings, VERSIONS) == [(0, 1.0, None, None), (1, 2.0, None, AT[9]), (1, 3.0, AT[9], None)]
    current = ask(settings, "select clock_hour, value, known_at from raw.readings_current order by all")
    assert current == [(0, 1.0, datetime(2024, 5, 1, 0, 40)), (1, 3.0, AT[9])]


def test_a_row_that_went_is_superseded_and_a_new_one_known_from_then(settings: Settings) -> None:
    land(settings, corrected(1, 2))
    land(settings, corrected(2, 7, at=AT[9], first_hour=1))
    land(settings, corrected(1, 2, 7, at=AT[11]))

    assert ask(settings, VERSIONS) == [
        (0, 1.0, None, AT[9]),
        (0, 1.0, AT[11], None),
        (1, 2.0, None, None),
        (2, 7.0, AT[9], None),
    ]


def test_corrections_count_in_the_order_they_were_known_in_not_in_that_of_landing(settings: Settings) -> None:
    land(settings, corrected(1))
    land(settings, corrected(3, at=AT[20]))
    land(settings, corrected(2, at=AT[10]))

    assert ask(settings, VERSIONS) == [
        (0, 1.0, None, AT[10]),
        (0, 2.0, AT[10], AT[20]),
        (0, 3.0, AT[20], None),
    ]
    assert ask(settings, "select value, known_at from raw.readings_current") == [(3.0, AT[20])]


def test_of_two_corrections_known_at_once_the_one_that_landed_last_holds(settings: Settings) -> None:
    land(settings, corrected(1))
    land(settings, corrected(2, at=AT[10]))
    land(settings, corrected(3, at=AT[10]))

    assert ask(settings, VERSIONS) == [(0, 1.0, None, AT[10]), (0, 3.0, AT[10], None)]


def test_a_value_taken_back_is_known_again_from_then(settings: Settings) -> None:
    land(settings, corrected(1))
    land(settings, corrected(2, at=AT[10]))
    land(settings, corrected(1, at=AT[12]))

    assert ask(settings, VERSIONS) == [
        (0, 1.0, None, AT[10]),
        (0, 1.0, AT[12], None),
        (0, 2.0, AT[10], AT[12]),
    ]


def test_each_fact_has_the_time_of_the_correction_that_gave_its_values(settings: Settings) -> None:
    two: dict[str, Any] = {
        "facts": [
            {"name": "reading", "columns": ["*"], "known_at": "read_at"},
            {"name": "state", "columns": ["state"], "known_at": "read_at + interval 1 hour"},
        ]
    }
    source = declared(**COLUMN_POLICY | two)
    land(settings, [f"{HEADER},noted_at", f"{row(0)},"], source)
    land(settings, [f"{HEADER},noted_at", f"{row(0, state='worn')},{AT[9]}"], source)
    land(settings, [f"{HEADER},noted_at", f"{row(0, state='worn', value='9')},{AT[12]}"], source)

    times = "corrected_at, reading_corrected_at, state_corrected_at, superseded_at"
    assert ask(settings, f"select {times} from raw.readings_versions order by 1 nulls first") == [
        (None, None, None, AT[9]),
        (AT[9], None, AT[9], AT[12]),
        (AT[12], AT[12], AT[9], None),
    ]


def test_rows_that_are_equal_in_the_key_are_of_one_file_in_every_state(settings: Settings) -> None:
    source = declared(**COLUMN_POLICY | {"duplicates": "keep"})
    rows = [row(7, value="9"), row(0, value="5"), row(0, value="2")]
    land(settings, [f"{HEADER},noted_at", *(f"{row(0, value=value)}," for value in ("1", "2"))], source)
    land(settings, [f"{HEADER},noted_at", *(f"{one},{AT[9]}" for one in rows)], source)

    listed = f"select value, row_number, {TIMES} from raw.readings_versions where clock_hour = 0"
    assert ask(settings, f"{listed} order by {TIMES}, row_number") == [
        (5.0, 2, AT[9], None),
        (2.0, 3, AT[9], None),
        (1.0, 1, None, AT[9]),
        (2.0, 2, None, AT[9]),
    ]


def test_versions_of_a_day_are_found_without_reading_the_others(settings: Settings) -> None:
    take(settings, *put_days(settings, 4)).raise_failed()
    take(settings, put(settings, [HEADER, row(0)], "2024-05-03.csv")).raise_failed()

    asked = "explain (format json) select * from raw.readings_versions where day = date '2024-05-02'"
    (told,) = ask(settings, asked)
    filters = [scan["extra_info"].get("Filters") for scan in scans(json.loads(told[1]))]
    assert len(filters) > 1
    assert all("day='2024-05-02'" in str(one) for one in filters)


def scans(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The scans of the rows of readings in a plan."""
    for node in nodes:
        if str(node.get("extra_info", {}).get("Table", "")).endswith("raw.readings"):
            yield node
        yield from scans(node["children"])


def test_a_file_that_is_not_all_here_says_nothing_of_the_rows_it_lacks(settings: Settings) -> None:
    land(settings, corrected(1, 2))
    land(settings, corrected(3, 4, at=AT[9]))
    with Workshop(settings).turn() as turn, turn.connect() as con:
        con.execute("delete from raw.readings where clock_hour = 1 and corrected_at is not null")

    assert ask(settings, VERSIONS) == [(0, 1.0, None, AT[9]), (0, 3.0, AT[9], None), (1, 2.0, None, None)]


def test_a_version_is_told_by_its_times_too(settings: Settings) -> None:
    known = {"facts": [{"name": "reading", "columns": ["*"], "known_at": "coalesce(noted_at, read_at)"}]}
    source = declared(**COLUMN_POLICY | known)
    land(settings, corrected(1), source)
    land(settings, corrected(1, at=AT[9]), source)

    told = ask(settings, f"select known_at, {TIMES} from raw.readings_versions order by 1")
    assert told == [(datetime(2024, 5, 1, 0, 30), None, AT[9]), (AT[9], AT[9], None)]


def test_known_when_taken_in_is_a_policy_too(settings: Settings) -> None:
    take(settings, put(settings, [HEADER, row(0, value="1")])).raise_failed()
    second = take(settings, put(settings, [HEADER, row(0, value="2")])).raise_failed().taken[0]

    assert [line[1:] for line in ask(settings, VERSIONS)] == [
        (1.0, None, second.loaded_at),
        (2.0, second.loaded_at, None),
    ]


def test_a_correction_that_counts_as_told_at_first_leaves_no_instant_at_which_the_other_held(
    settings: Settings,
) -> None:
    source = declared(corrections={"known_at": "known_at"})
    take(settings, put(settings, [HEADER, row(0, value="1")]), source=source).raise_failed()
    take(settings, put(settings, [HEADER, row(0, value="2")]), source=source).raise_failed()

    at = datetime(2024, 5, 1, 0, 40)
    assert ask(settings, VERSIONS) == [(0, 1.0, None, at), (0, 2.0, at, None)]
    assert ask(settings, "select value, known_at from raw.readings_current") == [(2.0, at)]


def test_a_correction_without_a_time_is_a_bad_row(settings: Settings) -> None:
    source = declared(**COLUMN_POLICY | {"corrections": {"known_at": "noted_at", "columns": ["noted_at"]}})
    land(settings, corrected(1, 2), source)
    land(settings, [*corrected(1, 3, at=AT[9]), f"{row(5)},"], source)

    (found,) = ask(settings, "select row_number, rule from raw.quarantine")
    assert found == (3, "gives a time for corrections.known_at")


def test_versions_are_the_same_when_raw_is_made_again(settings: Settings) -> None:
    for content in (corrected(1, 2), corrected(3, at=AT[20]), corrected(2, 2, at=AT[10])):
        land(settings, content)
    before = ask(settings, "from raw.readings_versions order by all")

    rebuild_raw(Workshop(settings), settings, [declared(**COLUMN_POLICY)])

    assert len(before) == 4
    assert ask(settings, "from raw.readings_versions order by all") == before

"""Files that are not what those before were: each kind of change planted, told by its name, and left out."""

import math
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import Source, rebuild_raw
from tests.ml.readings import DAY, DECLARED, HEADER, all_raw, ask, declared, lines, put, put_days, row, take

FOUND = "select day::varchar, kind, column_name, action from raw.drift order by all"
COLUMNS = DECLARED["columns"]


def _drift(**policies: Any) -> Source:
    return declared(drift=policies)


def _moved(order: list[int]) -> list[str]:
    return [",".join(line.split(",")[i] for i in order) for line in lines()]


def test_reordered_columns_are_read_by_name_and_told(settings: Settings) -> None:
    take(settings, put(settings, _moved([4, 0, 3, 2, 1]))).raise_failed()

    assert ask(settings, FOUND) == [("2024-05-01", "reordered_columns", "read_at", "warn")]
    moved = ask(settings, "select meter, clock_hour, value, state, read_at from raw.readings order by 2")
    take(settings, put(settings, lines())).raise_failed()
    assert moved == ask(
        settings, "select meter, clock_hour, value, state, read_at from raw.readings_current order by 2"
    )


def test_a_new_column_is_left_aside_and_told(settings: Settings) -> None:
    content = [f"note,{HEADER}", *(f"x,{line}" for line in lines()[1:])]

    take(settings, put(settings, content), source=_drift(new_columns="warn")).raise_failed()

    assert ask(settings, FOUND) == [("2024-05-01", "new_column", "note", "warn")]
    assert ask(settings, "select distinct meter, value from raw.readings") == [("m1", 20.5)]


def test_a_short_line_is_told_by_the_header_s_own_number_of_fields(settings: Settings) -> None:
    content = [f"{HEADER},note", row(0) + ",x", row(1), row(2) + ",y"]

    intake = take(settings, put(settings, content), source=_drift(new_columns="warn")).raise_failed()

    assert (intake.taken[0].n_rows, intake.taken[0].n_quarantined) == (2, 1)
    assert ask(settings, "select row_number, rule from raw.quarantine") == [
        (2, "has as many fields as the header")
    ]


def test_a_missing_column_has_no_values_where_it_may_have_none(settings: Settings) -> None:
    tolerant = _drift(missing_columns="warn")

    intake = take(settings, put(settings, _moved([0, 1, 3, 4])), source=tolerant)
    refused = take(settings, put(settings, _moved([0, 1, 2, 4]), "2024-05-02.csv"), source=tolerant)

    assert intake.taken[0].n_rows == 8
    assert ask(settings, FOUND) == [("2024-05-01", "missing_column", "value", "warn")]
    assert ask(settings, "select count(*), count(value) from raw.readings") == [(8, 0)]
    assert 'column "state": missing column' in str(refused.failed[0])


@pytest.mark.parametrize(
    ("policies", "content", "told"),
    [
        ({"new_columns": "fail"}, [f"{HEADER},n", row(0) + ",1"], ['column "n": new column:']),
        ({"missing_columns": "fail"}, _moved([0, 1, 3, 4]), ['column "value": missing column:']),
        (
            {"reordered_columns": "fail"},
            _moved([0, 1, 3, 2, 4]),
            ['column "state": reordered columns:', '"state" stands where "value" was'],
        ),
        (
            {"retyped_columns": "fail"},
            [HEADER, *(row(h, value=f"{h}C") for h in range(8))],
            ['row 1, column "value": retyped column: 100%', '"0C"', "expected real values"],
        ),
    ],
)
def test_each_kind_of_column_drift_may_refuse_the_file_by_its_name(
    settings: Settings, policies: dict[str, str], content: list[str], told: list[str]
) -> None:
    good = put_days(settings, 1)

    intake = take(settings, *good, put(settings, content, "2024-05-02.csv"), source=_drift(**policies))

    assert len(intake.taken) == 1
    for part in (*told, "2024-05-02.csv", "left where it is"):
        assert part in str(intake.failed[0])
    assert ask(settings, FOUND) == []


def test_a_retyped_column_may_go_to_quarantine(settings: Settings) -> None:
    content = [HEADER, *(row(hour, value=f"{hour}C" if hour < 6 else "") for hour in range(8))]
    source = declared(
        drift={"retyped_columns": "quarantine"}, bad_rows={"action": "quarantine", "max_share": 0.8}
    )

    intake = take(settings, put(settings, content), source=source).raise_failed()

    assert (intake.taken[0].n_rows, intake.taken[0].n_quarantined) == (2, 6)
    assert ask(settings, FOUND) == [("2024-05-01", "retyped_column", "value", "quarantine")]


def _states(settings: Settings, n_days: int, state: Callable[[int, int], str]) -> list[Path]:
    """Files for days whose state is `state(day, hour)`."""
    days = [DAY + timedelta(days=i) for i in range(n_days)]
    return [
        put(settings, [HEADER, *(row(h, day=day, state=state(i, h)) for h in range(8))], f"{day}.csv")
        for i, day in enumerate(days)
    ]


def _watched(new: str, **more: Any) -> Source:
    columns = [{"name": one["name"], "type": one["type"]} for one in COLUMNS]
    columns[1]["header"] = "hour"
    return declared(
        columns=columns, drift={"categories": {"columns": ["state"], "new": new, "after_days": 4} | more}
    )


def _planted(day: int, hour: int) -> str:
    """Odd from the seventh day on; a value that comes on the third day only is learned."""
    return "odd" if day >= 6 and hour == 2 else "rare" if day == 2 and hour == 1 else "ok"


@pytest.mark.parametrize("at_once", [True, False])
def test_a_category_never_seen_is_told_once_and_taken(settings: Settings, at_once: bool) -> None:
    files = _states(settings, 8, _planted)
    for some in [files] if at_once else [[file] for file in files]:
        take(settings, *some, source=_watched("warn")).raise_failed()

    assert ask(settings, FOUND) == [("2024-05-07", "new_category", "state", "warn")]
    assert ask(settings, "select found from raw.drift") == [('"odd" was never seen in the 6 days before',)]
    assert ask(settings, "select count(*) from raw.readings where state = 'odd'") == [(2,)]
    before = all_raw(settings)
    rebuild_raw(Workshop(settings), settings, [_watched("warn")])
    assert all_raw(settings) == before


@pytest.mark.parametrize("at_once", [True, False])
def test_a_category_never_seen_may_go_to_quarantine(settings: Settings, at_once: bool) -> None:
    files = _states(settings, 8, _planted)
    for some in [files] if at_once else [[file] for file in files]:
        take(settings, *some, source=_watched("quarantine")).raise_failed()

    rows = ask(
        settings, "select day::varchar, row_number, column_name, value, rule from raw.quarantine order by 1"
    )
    assert rows == [
        (f"2024-05-0{day}", 3, "state", "odd", "was seen before (new category)") for day in (7, 8)
    ]
    assert ask(settings, "select count(*) from raw.readings where state = 'odd'") == [(0,)]
    known = _watched("quarantine", known={"state": ["odd"]})
    take(settings, *files, source=known).raise_failed()
    assert ask(settings, "select count(*) from raw.readings where state = 'odd'") == [(2,)]
    assert ask(settings, "select count(*) from raw.quarantine") == [(0,)]


def test_a_category_never_seen_may_refuse_the_file(settings: Settings) -> None:
    intake = take(settings, *_states(settings, 8, _planted), source=_watched("fail"))

    assert [str(error.path.stem) for error in intake.failed] == ["2024-05-07", "2024-05-08"]
    for part in (
        'row 3, column "state": new category: "odd"',
        "one of ok, rare",
        "drift.categories.known.state",
    ):
        assert part in str(intake.failed[0])
    assert len(intake.taken) == 6


def test_a_category_that_is_gone_is_only_told(settings: Settings) -> None:
    files = _states(settings, 6, lambda day, hour: "worn" if day < 5 and hour == 0 else "ok")

    take(settings, *files, source=_watched("fail")).raise_failed()

    assert ask(settings, FOUND) == [("2024-05-06", "vanished_category", "state", "inform")]


def test_categories_that_stay_are_not_told(settings: Settings) -> None:
    take(
        settings, *_states(settings, 8, lambda _, hour: "ok" if hour else "worn"), source=_watched("fail")
    ).raise_failed()

    assert ask(settings, FOUND) == []


def _degrees(day: int, hour: int) -> float:
    """Degrees Fahrenheit with a daily and a weekly wave."""
    return 62 + 9 * math.sin(hour / 4) + 6 * math.sin(day * 0.9)


def _warm(settings: Settings, n_days: int, changed: Callable[[int, float], float]) -> list[Path]:
    days = [DAY + timedelta(days=i) for i in range(n_days)]
    return [
        put(
            settings,
            [HEADER, *(row(h, day=day, value=f"{changed(i, _degrees(i, h)):.2f}") for h in range(24))],
            f"{day}.csv",
        )
        for i, day in enumerate(days)
    ]


def _measured(changed: str, **more: Any) -> Source:
    return _drift(units={"columns": ["value"], "changed": changed, "window_days": 14} | more)


CHANGES: dict[str, tuple[Callable[[float], float], str]] = {
    "Fahrenheit to Celsius": (lambda f: (f - 32) / 1.8, "degrees Fahrenheit to Celsius"),
    "minutes to seconds": (lambda minutes: minutes * 60, "60 times as much"),
    "percent to shares": (lambda percent: percent / 100, "a 100th"),
    "miles to kilometres": (lambda miles: miles * 1.609344, "miles to kilometres"),
}


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("at_once", [True, False])
def test_changed_units_are_told_with_the_conversion_they_look_like(
    settings: Settings, case: str, at_once: bool
) -> None:
    changed, name = CHANGES[case]
    files = _warm(settings, 16, lambda day, value: changed(value) if day == 15 else value)
    for some in [files] if at_once else [[file] for file in files]:
        take(settings, *some, source=_measured("warn")).raise_failed()

    assert ask(settings, FOUND) == [("2024-05-16", "changed_units", "value", "warn")]
    ((found, expected),) = ask(settings, "select found, expected from raw.drift")
    assert f"as {name}" in found
    assert "14 days before" in found
    assert "drift.units.since" in expected
    assert ask(settings, "select count(*) from raw.readings") == [(16 * 24,)]


@pytest.mark.parametrize("at_once", [True, False])
def test_changed_units_may_refuse_files_until_the_change_is_declared(
    settings: Settings, at_once: bool
) -> None:
    files = _warm(settings, 40, lambda day, value: (value - 32) / 1.8 if day >= 15 else value)
    failed = []
    for some in [files] if at_once else [[file] for file in files]:
        failed += take(settings, *some, source=_measured("fail")).failed

    assert [error.path for error in failed] == files[15:]
    assert 'column "value": changed units' in str(failed[0])
    since = date.fromisoformat(files[15].stem)
    take(settings, *files, source=_measured("fail", since=since)).raise_failed()
    assert ask(settings, "select count(distinct day) from raw.readings") == [(40,)]


def test_units_explain_why_most_rows_are_bad(settings: Settings) -> None:
    columns = [one | {"maximum": 120} if one["name"] == "value" else one for one in COLUMNS]
    source = declared(
        columns=columns, drift={"units": {"columns": ["value"], "changed": "warn", "window_days": 14}}
    )
    files = _warm(settings, 16, lambda day, value: value * 60 if day == 15 else value)

    (error,) = take(settings, *files, source=source).failed

    for part in ("24 of 24 rows are bad", "is at most 120", "value has changed units", "60 times as much"):
        assert part in str(error)


def test_values_that_vary_as_before_are_not_told(settings: Settings) -> None:
    take(settings, *_warm(settings, 40, lambda _, value: value), source=_measured("fail")).raise_failed()

    assert ask(settings, FOUND) == []


def test_a_new_day_reads_only_the_window_before_it(settings: Settings) -> None:
    """Fingerprints older than the window may be anything."""
    files = _warm(settings, 31, lambda _, value: value)
    take(settings, *files[:30], source=_measured("warn")).raise_failed()
    ask(settings, "update raw.fingerprints set quantiles = null where day < '2024-05-17'")

    take(settings, files[30], source=_measured("warn")).raise_failed()

    assert ask(settings, FOUND) == []
    assert ask(settings, "select count(*) from raw.fingerprints") == [(31,)]

"""Rules that a source declares for its cells, rows and files, each broken and each kept."""

from datetime import date
from typing import Any

import pytest

from ml.settings import Settings
from ml.sources.quarantine import BadCell, bad_cells, counts, report
from tests.ml.readings import DAY, DECLARED, HEADER, ask, declared, lines, put, row, take
from tests.ml.readings import workshop as opened

COLUMNS = DECLARED["columns"]


def _with(column: str, **rule: Any) -> dict[str, Any]:
    """The columns, one of them with a rule more."""
    return {"columns": [one | rule if one["name"] == column else one for one in COLUMNS]}


BROKEN: dict[str, tuple[dict[str, Any], list[str], tuple[object, ...]]] = {
    "pattern": (
        _with("meter", pattern="m[0-9]"),
        [HEADER, row(0), row(1, meter="m1x"), row(2)],
        (2, "meter", "m1x", "matches m[0-9]"),
    ),
    "pattern with a quote": (
        _with("meter", pattern="m'?[0-9]"),
        [HEADER, row(0), row(1, meter="m'1"), row(2, meter="n1")],
        (3, "meter", "n1", "matches m'?[0-9]"),
    ),
    "unique": (
        {"unique": [["value"]]},
        [HEADER, row(0, value="1"), row(1, value="2"), row(2, value="1"), row(3, value=""), row(4, value="")],
        (3, "value", "1.0 (as in row 1)", "has a unique value in the file"),
    ),
    "unique together": (
        {"unique": [["meter", "value"], ["read_at"]]},
        [HEADER, row(0, value="1"), row(1, value="1", meter="m2"), row(2, value="1")],
        (3, None, "m1, 1.0 (as in row 1)", "has a unique meter, value in the file"),
    ),
    "across columns": (
        {
            "rules": [
                {"name": "warm", "expression": "value > clock_hour", "message": "is warmer than its hour"}
            ]
        },
        [HEADER, row(0), row(21), row(22, value="30")],
        (2, None, row(21).replace("T21", "T21"), "is warmer than its hour"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_row_that_breaks_a_rule_goes_to_quarantine(settings: Settings, case: str) -> None:
    changes, content, (row_number, column, value, rule) = BROKEN[case]

    intake = take(settings, put(settings, content), source=declared(**changes)).raise_failed()

    with opened(settings) as con:
        found = bad_cells(con, "readings")
        assert counts(con, None, DAY) == [
            {"source": "readings", "column": column, "rule": rule, "n_rows": 1, "n_files": 1}
        ]
    file, sha256 = f"readings/{DAY}.csv", intake.taken[0].source_file_id
    assert found == [BadCell("readings", DAY, file, sha256, row_number, column, value, rule)]  # type: ignore[arg-type]
    assert intake.taken[0].n_rows == len(content) - 2


@pytest.mark.parametrize("case", BROKEN)
def test_rows_that_keep_a_rule_are_taken(settings: Settings, case: str) -> None:
    changes, content, (row_number, *_) = BROKEN[case]
    kept = [line for i, line in enumerate(content) if i != row_number]

    intake = take(settings, put(settings, kept), source=declared(**changes)).raise_failed()

    assert (intake.taken[0].n_rows, intake.taken[0].n_quarantined) == (len(kept) - 1, 0)


REFUSED: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "too many rows": ({"max_rows": 7}, lines(8), ["8 rows after the header", "expected at most 7"]),
    "too few rows": ({"min_rows": 9}, lines(8), ["8 rows after the header", "expected at least 9"]),
    "too much of a column missing": (
        _with("value", max_missing=0.25),
        [HEADER, row(0), row(1, value=""), row(2), row(3, value="NA"), row(4, value=""), row(5)],
        ["row 2", 'column "value"', "3 of 6 values are missing (50.0%)", "at most 25.0% missing"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_breaks_a_rule_is_refused_whole(settings: Settings, case: str) -> None:
    changes, content, told = REFUSED[case]

    intake = take(settings, put(settings, content), source=declared(**changes))

    (error,) = intake.failed
    for part in (f"readings/{DAY}.csv", *told, "left where it is"):
        assert part in str(error)
    assert ask(settings, "select count(*) from raw.readings") == [(0,)]


def test_a_file_that_keeps_the_rules_to_the_limit_is_taken(settings: Settings) -> None:
    source = declared(min_rows=8, max_rows=8, **_with("value", max_missing=0.25))
    content = [HEADER, *(row(hour, value="" if hour < 2 else "1") for hour in range(8))]

    assert take(settings, put(settings, content), source=source).raise_failed().taken[0].n_rows == 8


def test_other_encodings_are_read_as_declared(settings: Settings) -> None:
    source = declared(format={"encoding": "cp1252"})
    content = "\n".join([HEADER, row(0, meter="Zürich €"), row(1)]) + "\n"

    take(settings, put(settings, content.encode("cp1252")), source=source).raise_failed()
    found = ask(settings, "select meter from raw.readings where row_number = 1")
    intake = take(settings, put(settings, content.encode("cp1252"), "2024-05-02.csv"))

    assert found == [("Zürich €",)]
    assert "row 1" in str(intake.failed[0])
    assert "not UTF-8" in str(intake.failed[0])


def test_the_report_counts_by_rule_and_by_day_and_forgets_what_was_corrected(settings: Settings) -> None:
    days = [date(2024, 5, day) for day in (1, 2, 3)]
    bad = {days[0]: 1, days[1]: 0, days[2]: 2}
    for day, n in bad.items():
        content = [HEADER, *(row(h, day=day, state="off" if h < n else "ok") for h in range(8))]
        take(settings, put(settings, content, f"{day}.csv")).raise_failed()

    with opened(settings) as con:
        found = report(con, declared(), days[2], days[2])
    assert [(one.day, one.n_rows, one.n_bad) for one in found.trend] == [
        (days[0], 7, 1),
        (days[1], 8, 0),
        (days[2], 6, 2),
    ]
    (last,) = found.days
    assert last.by_rule == (("state", "is one of ok, worn", 2),)
    assert last.bad_share == 0.25
    assert [(one.row_number, one.value) for one in found.sample] == [(1, "off"), (2, "off")]

    take(settings, put(settings, lines(day=days[2]), f"{days[2]}.csv")).raise_failed()

    with opened(settings) as con:
        assert [one.n_bad for one in report(con, declared(), days[2], days[2]).days] == [0]
        assert [one.day for one in bad_cells(con)] == [days[0]]

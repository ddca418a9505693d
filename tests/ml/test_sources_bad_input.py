"""Files that cannot be taken in, or not wholly: what is said, and what goes on."""

from collections.abc import Callable

import pytest

from ml.errors import FilesRefused
from ml.settings import Settings
from tests.ml import readings
from tests.ml.readings import HEADER, ask, declared, lines, put, put_days, row, take

GOOD = "\n".join(lines()) + "\n"


def _edited(line: int, text: str) -> list[str]:
    """Good lines with one of them replaced; line 1 is the first after the header."""
    return [*lines()[:line], text, *lines()[line + 1 :]]


REFUSED: dict[str, tuple[list[str] | bytes, list[str]]] = {
    "cut off in a line": (GOOD[:-17].encode(), ["row 8", "cut off", '"m1,7,20.5,ok,2024"', "whole file"]),
    "cut off between fields": (
        [*lines(7), "m1,7,20.5"],
        ["row 8", "cut off", '"m1,7,20.5" has 3 fields', "expected 5 fields"],
    ),
    "missing column": (
        [",".join(line.split(",")[:3] + line.split(",")[4:]) for line in lines()],
        ['column "state"', "missing from the header", HEADER],
    ),
    "extra column": (
        [f"{HEADER},note", *(f"{line},x" for line in lines()[1:])],
        ['column "note"', "not declared", HEADER],
    ),
    "renamed column": (
        [HEADER.replace("value", "values"), *lines()[1:]],
        ['column "value"', "missing", "Did you mean 'values'?"],
    ),
    "column twice": ([f"{HEADER},value", *lines()[1:]], ['column "value"', "twice"]),
    "retyped column": (
        [HEADER, *(row(hour, value=f"{hour}degC") for hour in range(8))],
        [
            'column "value"',
            "row 1",
            "100% of the values are not of type real",
            '"0degC"',
            "expected real values",
        ],
    ),
    "retyped integers": (
        [HEADER, *(row(hour).replace(f",{hour},", f",{hour}.5,", 1) for hour in range(8))],
        ['column "hour"', "row 1", "not of type integer", '"0.5"'],
    ),
    "empty": (b"", ["the file is empty", "a header and at least one row"]),
    "blank": (b"\n\n", ["the file is empty"]),
    "only a header": ([HEADER], ["0 rows after the header", "expected at least 1"]),
    "not UTF-8": (
        GOOD.replace("m1,3,20.5,ok", "m1,3,20.5,\xff").encode("latin-1"),
        ["row 4", 'column "state"', "0xff", "not UTF-8"],
    ),
    "binary": (GOOD.encode().replace(b"m1,2", b"m\x00,2"), ["row 3", "NUL", "UTF-8 text"]),
    "mostly bad rows": (
        [HEADER, *(row(hour, state="broken") for hour in range(5)), *(row(hour) for hour in range(5, 8))],
        [
            "row 1",
            'column "state"',
            "5 of 8 rows are bad (62.5%)",
            '"broken"',
            "one of ok, worn",
            "at most 50.0%",
        ],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_refused_by_name_and_place_and_others_go_on(settings: Settings, case: str) -> None:
    content, told = REFUSED[case]
    good = put_days(settings, 3)
    bad = put(settings, content, "2024-05-02.csv")
    before = bad.read_bytes()

    intake = take(settings, *good)

    assert [str(file.day) for file in intake.taken] == ["2024-05-01", "2024-05-03"]
    assert len(intake.failed) == 1
    for part in (f'File "{bad}"', *told, "left where it is"):
        assert part in str(intake.failed[0])
    assert bad.read_bytes() == before
    assert ask(settings, "select count(*), count(distinct day) from raw.readings_current") == [(16, 2)]
    assert ask(settings, "select count(*) from raw.quarantine") == [(0,)]


def test_refused_files_raise_together_with_every_reason(settings: Settings) -> None:
    good = put_days(settings, 1)
    bad = [put(settings, b"", "2024-05-07.csv"), put(settings, [HEADER], "2024-05-08.csv")]

    with pytest.raises(FilesRefused) as raised:
        take(settings, *good, *bad).raise_failed()

    message = str(raised.value)
    assert '2 landed file(s) of "readings" refused (1 others taken in)' in message
    assert all(str(path) in message for path in bad)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("2024-02-30.csv", 'the name "2024-02-30" is not a day'),
        ("2024-5-1.csv", "is not a day"),
        ("latest.csv", "is not a day"),
        ("2024-05-01.txt", "is not a day"),
        ("2023-12-31.csv", "the day 2023-12-31 lies before the source starts; expected 2024-01-01 or later"),
        ("2025-01-01.csv", "lies after the last day allowed; expected 2024-12-31 or earlier"),
    ],
)
def test_a_name_that_is_no_day_is_refused(settings: Settings, name: str, told: str) -> None:
    bad = put(settings, lines(), name)
    good = put_days(settings, 1)

    intake = take(settings, bad, *good)

    assert len(intake.taken) == 1
    assert told in str(intake.failed[0])
    assert str(bad) in str(intake.failed[0])
    assert bad.exists()


QUARANTINED: dict[str, tuple[list[str], tuple[object, ...]]] = {
    "no number": (_edited(3, row(2, value="warm")), (3, "value", "warm", "is of type real")),
    "infinite": (_edited(3, row(2, value="inf")), (3, "value", "inf", "is of type real")),
    "no integer": (
        _edited(3, row(2).replace(",2,", ",2.0,")),
        (3, "clock_hour", "2.0", "is of type integer"),
    ),
    "hexadecimal": (
        _edited(3, row(2).replace(",2,", ",0x2,")),
        (3, "clock_hour", "0x2", "is of type integer"),
    ),
    "no value": (_edited(2, row(1, state="NA")), (2, "state", None, "has a value")),
    "too small": (_edited(8, row(7, value="-50.5")), (8, "value", "-50.5", "is at least -50")),
    "too large": (_edited(8, "m1,24,1,ok,2024-05-01T23:30:00Z"), (8, "clock_hour", "24", "is at most 23")),
    "not allowed": (_edited(1, row(0, state="OK")), (1, "state", "OK", "is one of ok, worn")),
    "no time": (
        _edited(1, row(0).replace("T00:30", "T25:30")),
        (1, "read_at", "2024-05-01T25:30:00Z", "is of type timestamp"),
    ),
    "rule": (
        _edited(5, row(4).replace(",4,", ",5,").replace("m1", "m2")),
        (5, None, "m2,5,20.5,ok,2024-05-01T04:30:00Z", "was read in its hour"),
    ),
    "too many fields": (
        _edited(5, row(4) + ",,"),
        (5, None, row(4) + ",,", "has as many fields as the header"),
    ),
    "too few fields": (_edited(5, "m1,4"), (5, None, "m1,4", "has as many fields as the header")),
    "key twice": (
        _edited(6, row(2)),
        (6, None, "m1, 2 (as in row 3)", "has a key (meter, clock_hour) of its own in the file"),
    ),
}


@pytest.mark.parametrize("case", QUARANTINED)
def test_a_bad_row_goes_to_quarantine_and_the_rest_into_raw(settings: Settings, case: str) -> None:
    content, expected = QUARANTINED[case]

    intake = take(settings, put(settings, content)).raise_failed()

    assert (intake.taken[0].n_rows, intake.taken[0].n_quarantined) == (7, 1)
    found = ask(
        settings, "select row_number, column_name, value, rule, source, day::varchar from raw.quarantine"
    )
    assert found == [(*expected, "readings", "2024-05-01")]
    kept = ask(settings, "select row_number from raw.readings order by 1")
    assert [number for (number,) in kept] == [n for n in range(1, 9) if n != expected[0]]


def test_a_blank_line_is_a_row_without_values(settings: Settings) -> None:
    intake = take(settings, put(settings, _edited(4, ""))).raise_failed()

    assert intake.taken[0].n_quarantined == 1
    assert {row for (row,) in ask(settings, "select row_number from raw.quarantine")} == {4}


def test_one_row_may_break_several_rules(settings: Settings) -> None:
    take(settings, put(settings, _edited(3, row(2, value="-99", state="")))).raise_failed()

    rules = ask(settings, "select column_name, rule from raw.quarantine order by all")
    assert rules == [("state", "has a value"), ("value", "is at least -50")]
    assert ask(settings, "select n_rows, n_quarantined from raw.files") == [(7, 1)]


def test_a_source_may_refuse_any_bad_row(settings: Settings) -> None:
    strict = declared(bad_rows={"action": "fail"})

    intake = take(settings, put(settings, _edited(3, row(2, value="warm"))), source=strict)

    assert "row 3" in str(intake.failed[0])
    assert 'column "value"' in str(intake.failed[0])
    assert "1 of 8 rows are bad" in str(intake.failed[0])


def test_repeated_keys_are_kept_where_that_is_declared(settings: Settings) -> None:
    take(settings, put(settings, _edited(6, row(2))), source=declared(duplicates="keep")).raise_failed()

    assert ask(settings, "select count(*), count(distinct clock_hour) from raw.readings") == [(8, 7)]


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("m1", '"m1"').encode(),
    ],
    ids=["Windows line ends", "byte order mark", "quotes"],
)
def test_other_ways_to_write_the_same_cells(settings: Settings, written: Callable[[str], bytes]) -> None:
    take(settings, put(settings, written(GOOD))).raise_failed()

    assert ask(settings, "select distinct meter, state, value from raw.readings") == [("m1", "ok", 20.5)]


def test_quoted_text_may_hold_delimiters_newlines_and_null_words(settings: Settings) -> None:
    meters = ['"a,b"', '"a\nb"', '"NA"', '"say ""so"""']
    content = [HEADER, *(row(hour, meter=meter) for hour, meter in enumerate(meters))]

    take(settings, put(settings, content)).raise_failed()

    found = ask(settings, "select meter, row_number from raw.readings order by row_number")
    assert found == [("a,b", 1), ("a\nb", 2), ("NA", 3), ('say "so"', 4)]


def test_a_file_that_is_gone_is_told_and_not_remembered(settings: Settings) -> None:
    gone = settings.landing / "readings" / "2024-05-09.csv"

    intake = take(settings, gone)

    assert "cannot be read" in str(intake.failed[0])
    assert readings.ask(settings, "select count(*) from raw.files") == [(0,)]

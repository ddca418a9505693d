"""Declarations that cannot be what was meant are refused when they are made, by field and value."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ml.errors import BadDeclaration
from ml.places import placed
from ml.sources import Source, declared_sources
from ml.sources.declaration import Column
from tests.ml.readings import DECLARED, declared
from tests.project_folder import ROOT

COLUMNS = DECLARED["columns"]
FACT = DECLARED["facts"][0]

BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown field": ({"colums": []}, ['"colums"', "Did you mean 'columns'?"]),
    "unknown field inside": (
        {"bad_rows": {"action": "fail", "max_shares": 0.1}},
        ['"0.1"', '"bad_rows.max_shares"', "Did you mean 'max_share'?"],
    ),
    "unknown choice": ({"cadence": "hourly"}, ['"hourly" at "cadence"', "'daily', 'weekly' or 'once'"]),
    "unknown type": (
        {"columns": [*COLUMNS, {"name": "x", "type": "int"}]},
        ['"int" at "columns.5.type"', "'integer', 'real', 'text'"],
    ),
    "no policy for when it is known": ({"facts": []}, ['at "facts"', "at least 1 item"]),
    "a fact without its time": (
        {"facts": [{"name": "reading", "columns": ["*"]}]},
        ['nothing at "facts.0.known_at"', "has no default"],
    ),
    "no policy for corrections": ({"corrections": None}, ['at "corrections"']),
    "corrections without their time": (
        {"corrections": {}},
        ['nothing at "corrections.known_at"', "has no default"],
    ),
    "corrections known at no time": (
        {"corrections": {"known_at": "lodaed_at"}},
        ['"lodaed_at" at "corrections.known_at"', "loaded_at", "DuckDB says"],
    ),
    "corrections told of in no column": (
        {"corrections": {"known_at": "loaded_at", "columns": ["metre"]}},
        ['"metre" at "corrections.columns"', "Did you mean 'meter'?"],
    ),
    "corrections known on a day": (
        {"corrections": {"known_at": "day"}},
        ['"day" at "corrections.known_at"', "of type TIMESTAMP, not DATE"],
    ),
    "share above one": (
        {"bad_rows": {"action": "quarantine", "max_share": 5}},
        ['"5" at "bad_rows.max_share"', "less than or equal to 1"],
    ),
    "key of no column": ({"key": ["metre"]}, ['"metre" at "key"', "Did you mean 'meter'?"]),
    "key that may be missing": ({"key": ["value"]}, ['"value" at "key"', "not nullable"]),
    "a column twice": ({"columns": [*COLUMNS, COLUMNS[0]]}, ['"meter" at "columns.name"', "given once"]),
    "the platform's name": (
        {"columns": [*COLUMNS, {"name": "day", "type": "integer"}]},
        ['"day" at "columns.name"', "header: day"],
    ),
    "a fact's column": (
        {"facts": [FACT | {"columns": ["valu"]}]},
        ['"valu" at "facts.columns"', "Did you mean 'value'?"],
    ),
    "a column of no fact": ({"facts": [FACT | {"columns": ["meter"]}]}, ['"clock_hour" at "facts.columns"']),
    "a column of two facts": (
        {
            "facts": [
                FACT,
                FACT | {"name": "other", "columns": ["value"]},
                FACT | {"name": "b", "columns": ["value"]},
            ]
        },
        ['"value" at "facts.columns"', "one fact for each column"],
    ),
    "daily without a start": ({"start": None}, ['nothing at "start"', "first day"]),
    "SQL of no column": ({"event_at": "read_att"}, ['"read_att" at "event_at"', "read_at", "DuckDB says"]),
    "SQL that is no SQL": ({"event_at": "read_at +"}, ['"read_at +" at "event_at"', "DuckDB says"]),
    "a time with a zone": (
        {"event_at": "timezone('UTC', read_at)"},
        ["of type TIMESTAMP, not TIMESTAMP WITH TIME ZONE"],
    ),
    "a rule that is no rule": (
        {"rules": [{"name": "r", "expression": "clock_hour + 1", "message": "m"}]},
        ['"rules.r.expression"', "of type BOOLEAN"],
    ),
    "unique of no column": ({"unique": [["metre"]]}, ['"metre" at "unique.0"', "Did you mean 'meter'?"]),
    "more rows at least than at most": ({"min_rows": 9, "max_rows": 8}, ['"8" at "max_rows"', "min_rows, 9"]),
    "a pattern that is none": (
        {"columns": [COLUMNS[0] | {"pattern": "(m"}, *COLUMNS[1:]]},
        ['"(m" at "columns.meter.pattern"', "regular expression"],
    ),
    "a kind of drift that is none": (
        {"drift": {"new_column": "warn"}},
        ['"drift.new_column"', "Did you mean 'new_columns'"],
    ),
    "an action that is none": (
        {"drift": {"retyped_columns": "quarantined"}},
        ['"quarantined" at "drift.retyped_columns"', "Did you mean 'quarantine'?"],
    ),
    "units of text": (
        {"drift": {"units": {"columns": ["state"], "changed": "warn"}}},
        ['"state" at "drift.units.columns"', "integer or real, not text"],
    ),
    "units of no column": (
        {"drift": {"units": {"columns": ["values"], "changed": "warn"}}},
        ['"values" at "drift.units.columns"', "Did you mean 'value'?"],
    ),
    "categories without a policy": (
        {"drift": {"categories": {"columns": ["state"]}}},
        ['nothing at "drift.categories.new"', "has no default"],
    ),
    "categories known of a column that is none": (
        {"drift": {"categories": {"columns": ["state"], "new": "warn", "known": {"stat": ["new"]}}}},
        ['"stat" at "drift.categories.known"', "Did you mean 'state'?"],
    ),
    "drift of a file that comes once": (
        {
            "cadence": "once",
            "start": None,
            "end": None,
            "drift": {"categories": {"columns": ["state"], "new": "warn"}},
        },
        ['"drift.categories"', "cadence once"],
    ),
    "a bound of another type": (
        {"columns": [COLUMNS[0] | {"minimum": 3}, *COLUMNS[1:]]},
        ['"3.0" at "columns.meter.minimum/maximum"', "of type text"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_declaration_names_field_value_and_what_is_allowed(case: str) -> None:
    changes, told = BAD[case]

    with pytest.raises(BadDeclaration) as raised:
        Source.declare(DECLARED | changes, "assets/defs/readings/defs.yaml")

    for part in ('"readings"', '"assets/defs/readings/defs.yaml"', *told):
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "marked"),
    [
        ({"columns": [*COLUMNS[:2], COLUMNS[2] | {"type": "float"}, *COLUMNS[3:]]}, "type: float"),
        (
            {"rules": [DECLARED["rules"][0] | {"expression": "clock_hours = 1"}]},
            "expression: clock_hours = 1",
        ),
        ({"columns": [COLUMNS[0] | {"pattern": "(m"}, *COLUMNS[1:]]}, "pattern: (m"),
        ({"key": ["metre"]}, "key:"),
        ({"drift": {"units": {"columns": ["value"], "changed": "quarantine"}}}, "changed: quarantine"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(
    tmp_path: Path, changes: dict[str, Any], marked: str
) -> None:
    file = tmp_path / "defs.yaml"
    written = yaml.safe_dump({"type": "LandedSource", "attributes": DECLARED | changes}, sort_keys=False)
    file.write_text("# readings\n" + written)
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if marked in text)

    with pytest.raises(BadDeclaration) as raised:
        Source.declare(DECLARED | changes, str(file))

    assert f'in "{file}:{line}"' in str(raised.value)


def test_a_source_without_a_policy_for_corrections_is_refused() -> None:
    without = {name: value for name, value in DECLARED.items() if name != "corrections"}

    with pytest.raises(BadDeclaration, match=r'nothing at "corrections".*has no default'):
        Source.declare(without, "assets/defs/readings/defs.yaml")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("  corrections: {known_at: loaded_at}\n", "", 3),
        ("{known_at: loaded_at}", "{columns: [name]}", 16),
        ("{known_at: loaded_at}", "loaded_at", 16),
    ],
)
def test_a_missing_policy_is_told_with_file_line_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, line: int
) -> None:
    file = tmp_path / "assets" / "defs" / "airlines" / "defs.yaml"
    file.parent.mkdir(parents=True)
    sound = (ROOT / "assets" / "defs" / "airlines" / "defs.yaml").read_text()
    file.write_text(sound.replace(old, new))
    assert file.read_text() != sound

    with pytest.raises(BadDeclaration) as raised:
        declared_sources(tmp_path)
    for part in ("airlines", f'defs.yaml:{line}"', "has no default", "{known_at: loaded_at}", "<SQL>"):
        assert part in str(raised.value)


def test_the_line_is_that_of_the_part_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "defs.yaml"
    text = (ROOT / "assets" / "defs" / "flights" / "defs.yaml").read_text()
    file.write_text(f"type: another\n---\n{text}")
    lines = file.read_text().splitlines()
    for field, start in {
        "facts.1.known_at": "      known_at: coalesce(",
        "rules.delay_fits.expression": "    - {name: delay_fits,",
        "derived.arrived_at": "    arrived_at:",
        "columns.name": "  columns:",
    }.items():
        at = next(n for n, one in enumerate(lines, 1) if one.startswith(start))
        assert placed(str(file), "flights", field) == f"{file}:{at}"
    assert placed("a test", "flights", "key") == "a test"


def test_raw_columns_are_the_declared_ones_and_the_times() -> None:
    two = declared(facts=[FACT, FACT | {"name": "state", "columns": ["state"]}])

    assert list(two.raw_columns()) == [
        *("meter", "clock_hour", "value", "state", "read_at", "source_file_id", "row_number", "day"),
        *("event_at", "known_at", "reading_known_at", "state_known_at", "loaded_at", "corrected_at"),
    ]
    assert "reading_known_at" not in declared().raw_columns()
    assert [two.fact_of(name).name for name in ("state", "value")] == ["state", "reading"]


def test_a_column_s_bounds_may_be_dates() -> None:
    column = Column.model_validate({"name": "at", "type": "date", "minimum": "2024-01-01"})
    assert str(column.minimum) == "2024-01-01"


def test_the_project_s_own_sources_are_sound() -> None:
    found = {source.name: source for source in declared_sources(ROOT)}

    assert {"airlines", "airports", "flights", "planes", "schedules", "weather"} < found.keys()
    assert (found["pizza_sales"].every_days, found["pizza_sales"].format.type) == (7, "parquet")
    assert found["flights"].known_columns == ("schedule_known_at", "departure_known_at", "arrival_known_at")
    for source in found.values():
        assert source.owners
        assert all(column.description for column in source.columns)

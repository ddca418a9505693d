"""`headwater quarantine`: bad cells and changes of the newest files, for a person and as JSON."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.text import Text

from headwater.cli import main
from ml.settings import Settings
from tests.ml import readings
from tests.ml.readings import DAY, HEADER, declared, lines, put, row, take

PROJECT = """
type: assets.components.LandedSource
attributes: {json}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project with one source, two days of which have bad rows and one another order of columns."""
    for name in ("project", "home", "landing"):
        monkeypatch.setenv(f"HEADWATER_{name.upper()}", str(tmp_path / name))
    folder = tmp_path / "project" / "assets" / "defs" / "readings"
    folder.mkdir(parents=True)
    told = json.dumps(readings.DECLARED, default=str)
    (folder / "defs.yaml").write_text(PROJECT.format(json=told))
    settings = Settings.from_env()
    source = declared(
        columns=[readings.DECLARED["columns"][0] | {"pattern": "m[0-9]"}, *readings.DECLARED["columns"][1:]]
    )
    second, third = DAY + timedelta(days=1), DAY + timedelta(days=2)
    moved = [",".join(reversed(line.split(","))) for line in lines(day=third)]
    take(
        settings,
        put(settings, [HEADER, row(0), row(1, meter="x"), row(2, state="off"), row(3)]),
        source=source,
    )
    take(
        settings,
        put(settings, [HEADER, row(0, day=second, meter="y"), *lines(day=second)[2:]], f"{second}.csv"),
        source=source,
    )
    take(settings, put(settings, moved, f"{third}.csv"), source=source).raise_failed()
    return settings


@pytest.mark.usefixtures("settings")
def test_a_person_sees_counts_rows_and_changes() -> None:
    told = CliRunner().invoke(main, ["quarantine", "readings"], env={"COLUMNS": "200"})

    assert told.exit_code == 0, told.output
    text = Text.from_ansi(told.output).plain
    for part in (
        "2  readings: meter matches m[0-9]",
        "1  readings: state is one of ok, worn",
        'readings/2024-05-01.csv:2  meter "x"; expected: matches m[0-9]',
        'readings/2024-05-02.csv:1  meter "y"',
        "readings 2024-05-03  read_at: reordered columns",
    ):
        assert part in text


@pytest.mark.usefixtures("settings")
def test_json_has_every_bad_cell_with_its_place() -> None:
    told = json.loads(CliRunner().invoke(main, ["quarantine", "--day", "2024-05-01", "--json"]).output)

    assert [one["n_rows"] for one in told["counts"]] == [1, 1]
    first = told["rows"][0]
    assert len(told["rows"]) == 2
    assert len(first.pop("sha256")) == 64
    assert first == {
        "source": "readings",
        "day": str(date(2024, 5, 1)),
        "file": "readings/2024-05-01.csv",
        "row_number": 2,
        "column": "meter",
        "value": "x",
        "rule": "matches m[0-9]",
    }
    assert told["changes"] == []


def test_nothing_is_told_of_what_was_corrected(settings: Settings) -> None:
    take(
        settings,
        *(
            put(settings, lines(day=DAY + timedelta(days=i)), f"{DAY + timedelta(days=i)}.csv")
            for i in range(3)
        ),
    )

    told = json.loads(CliRunner().invoke(main, ["quarantine", "--json"]).output)

    assert told == {"counts": [], "rows": [], "changes": []}

"""Parquet files, and files of weeks: read as text is, refused by name, kept and made again."""

import io
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.errors import BadDeclaration, FileRefused
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import rebuild_raw
from ml.sources.landed import day_of
from tests.ml.readings import DAY, ask, declared, lines, put, take
from tests.project_folder import settings_in

PARQUET: dict[str, Any] = {"format": {"type": "parquet"}}
COLUMNS: dict[str, Any] = {
    "meter": ["m1"] * 8,
    "hour": pa.array(range(8), pa.int8()),
    "value": [20.5] * 8,
    "state": pa.array(["ok"] * 8).dictionary_encode(),
    "read_at": pa.array([datetime(2024, 5, 1, hour, 30) for hour in range(8)], pa.timestamp("ms")),
}


def bytes_of(**columns: Any) -> bytes:
    into = io.BytesIO()
    pq.write_table(pa.table(COLUMNS | columns), into)
    return into.getvalue()


def test_a_parquet_file_gives_the_rows_that_its_text_would(settings: Settings, tmp_path: Path) -> None:
    what = (
        "select meter, clock_hour, value, state, read_at, known_at, row_number from raw.readings order by all"
    )
    elsewhere = settings_in(tmp_path / "text")
    take(elsewhere, put(elsewhere, lines())).raise_failed()
    of_text = ask(elsewhere, what)
    source = declared(**PARQUET)
    taken = take(settings, put(settings, bytes_of(), f"{DAY}.parquet"), source=source).raise_failed()
    assert ask(settings, what) == of_text
    assert len(of_text) == taken.taken[0].n_rows == 8


def test_a_bad_row_is_named_with_its_file(settings: Settings) -> None:
    from ml.sources.quarantine import bad_cells

    values = [20.5, None, -99.0, *[1.0] * 5]
    path = put(settings, bytes_of(value=values, hour=[None, *range(1, 8)]), f"{DAY}.parquet")
    (file,) = take(settings, path, source=declared(**PARQUET)).raise_failed().taken
    assert (file.n_rows, file.n_quarantined) == (6, 2)
    workshop = Workshop(settings)
    with workshop.turn(), workshop.connect() as con:
        found = [(one.file, one.row_number, one.column) for one in bad_cells(con)]
    assert found == [
        (f"readings/{DAY}.parquet", 1, "clock_hour"),
        (f"readings/{DAY}.parquet", 3, "value"),
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", ["is empty"]),
        (b"meter,hour\nm1,1\n", ["not a whole Parquet file"]),
        (bytes_of()[:-20], ["not a whole Parquet file"]),
        (bytes_of(state=[["ok"]] * 8), ["state", "no text, number or time"]),
        (bytes_of(status=["ok"] * 8), ["status", "not declared"]),
    ],
    ids=["empty", "other", "cut", "nested", "new column"],
)
def test_a_file_that_cannot_be_read_is_refused(settings: Settings, data: bytes, told: list[str]) -> None:
    (refused,) = take(settings, put(settings, data, f"{DAY}.parquet"), source=declared(**PARQUET)).failed
    for part in told:
        assert part in str(refused)


def test_raw_is_made_again_from_kept_parquet_files(settings: Settings) -> None:
    source = declared(**PARQUET)
    take(settings, put(settings, bytes_of(), f"{DAY}.parquet"), source=source).raise_failed()
    take(settings, put(settings, bytes_of(value=[1.0] * 8), f"{DAY}.parquet"), source=source).raise_failed()
    before = ask(settings, "from raw.readings order by all")
    kept = list((settings.home / "files" / "readings" / str(DAY)).iterdir())
    assert [path.suffix for path in kept] == [".parquet", ".parquet"]
    (settings.home / "workshop.duckdb").unlink()
    rebuild_raw(Workshop(settings), settings, [source])
    assert ask(settings, "from raw.readings order by all") == before


def test_a_week_s_file_is_named_by_the_weekday_that_the_source_starts_on(settings: Settings) -> None:
    source = declared(cadence="weekly", start=date(2024, 1, 3), end=date(2024, 12, 25))
    folder = settings.landing / "readings"
    assert day_of(source, folder / "2024-05-01.csv") == DAY
    with pytest.raises(FileRefused, match=r"2024-05-02 is a Thursday.*a Wednesday"):
        day_of(source, folder / f"{DAY + timedelta(days=1)}.csv")
    with pytest.raises(FileRefused, match=r"<YYYY-MM-DD>\.csv"):
        day_of(source, folder / "2024-05-01.parquet")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": {"type": "parket"}}, ['"parket" at "format.type"', "'parquet'"]),
        ({"format": {"type": "parquet", "delimiter": ";"}}, ['"format.delimiter"', "known field"]),
        ({"format": {"delimeter": ";"}}, ['"format.delimeter"', "'delimiter'"]),
        ({"cadence": "weekly", "end": date(2024, 12, 31)}, ['"end"', "a Monday"]),
        ({"cadence": "weekly", "start": None}, ['"start"', "cadence is weekly"]),
    ],
    ids=["unknown format", "of the other format", "misspelt", "no whole weeks", "no first week"],
)
def test_a_bad_declaration_is_told(changes: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(BadDeclaration) as raised:
        declared(**changes)
    for part in told:
        assert part in str(raised.value)

"""Answers that land as a source: by the day they are about, each once, always the same bytes."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from ml.errors import PredictionsUnfit
from ml.lake.workshop import Workshop
from ml.prediction_log import reading
from ml.prediction_log.compaction import compact
from ml.prediction_log.landing import land_predictions
from ml.prediction_log.record import Answered, Shape
from ml.prediction_log.writing import PredictionLog
from ml.settings import Settings
from ml.sources import Source, take_in

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
DECLARED: dict[str, Any] = {
    "name": "trip_predictions",
    "description": "What was predicted.",
    "predictions_of": "long_trip",
    "cadence": "daily",
    "start": date(2024, 3, 1),
    "format": {"type": "parquet"},
    "columns": [
        {"name": "answer_id", "type": "text"},
        {"name": "place", "header": "row", "type": "integer"},
        {"name": "trip_id", "type": "text"},
        {"name": "prediction_at", "type": "timestamp"},
        {"name": "answered_at", "type": "timestamp"},
        {"name": "version", "type": "text"},
        {"name": "score", "type": "real"},
    ],
    "key": ["answer_id", "place"],
    "event_at": "prediction_at",
    "facts": [{"name": "answer", "columns": ["*"], "known_at": "prediction_at"}],
    "corrections": {"known_at": "known_at"},
    "bad_rows": {"action": "quarantine"},
}
SOURCE = Source.declare(DECLARED)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADWATER_LANDING", str(tmp_path / "landing"))
    return Settings.from_env(tmp_path)


def answer(log: PredictionLog, *days: int, model: str = "long_trip") -> str:
    """Log one answer about a trip at noon of each of these days of March."""
    number = log.shape(
        (model, "f" * 64, "predict"),
        lambda one: Shape(
            one, model, "f" * 64, "predict", ("trip_id", "prediction_at", "speed"),
            ("text", "timestamp", "real"), (2,), (),
        ),
    )  # fmt: skip
    rows = [(f"t{day}", int(NOON.replace(day=day).timestamp() * 1e6), 0.5) for day in days]
    at = int(datetime.now(UTC).timestamp() * 1e6)
    told = Answered(
        log.next_id(), at, number, 7, at, b"{}", rows, [0.1 + day / 100 for day in days], (1, 2, 3)
    )
    log.append(told)
    return told.id


def landed(settings: Settings, day: int) -> list[dict[str, Any]]:
    file = settings.landing / SOURCE.name / f"2024-03-{day:02d}.parquet"
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


def test_each_day_has_the_answers_about_it(settings: Settings) -> None:
    log = PredictionLog(settings.prediction_log)
    first, second = answer(log, 1, 2, 3), answer(log, 2)
    answer(log, 2, model="other")
    log.close()
    written = land_predictions(settings, SOURCE, date(2024, 3, 1), date(2024, 3, 2))
    assert written == [date(2024, 3, 1), date(2024, 3, 2)]
    assert [(one["answer_id"], one["row"], one["trip_id"]) for one in landed(settings, 2)] == [
        (first, 1, "t2"),
        (second, 0, "t2"),
    ]
    assert landed(settings, 1)[0]["score"] == 0.1 + 1 / 100
    assert not (settings.landing / SOURCE.name / "2024-03-03.parquet").exists()


def test_the_same_answers_are_the_same_bytes_wherever_they_lie(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(settings.prediction_log)
    answer(log, 1)
    answer(log, 1)
    span = date(2024, 3, 1), date(2024, 3, 1)
    log.close()
    assert land_predictions(settings, SOURCE, *span) == [span[0]]
    segments = reading._segments(settings.prediction_log, "*")
    kept = {file: file.read_bytes() for file in segments}
    assert kept
    compact(settings.prediction_log)
    assert land_predictions(settings, SOURCE, *span) == []
    for file, data in kept.items():  # compacted, and its segment not gone yet
        file.write_bytes(data)
    assert land_predictions(settings, SOURCE, *span) == []


def test_they_are_taken_in_like_any_source_and_later_ones_beside_them(settings: Settings) -> None:
    workshop, day = Workshop(settings), date(2024, 3, 1)
    for n_answers in (1, 2):
        log = PredictionLog(settings.prediction_log)
        answer(log, 1)
        log.close()
        assert land_predictions(settings, SOURCE, day, day) == [day]
        file = settings.landing / SOURCE.name / f"{day}.parquet"
        take_in(workshop, settings, SOURCE, [file]).raise_failed()
        with duckdb.connect(str(workshop.file), read_only=True) as con:
            found = con.execute(
                "select count(*), count(superseded_at), count(distinct answer_id) "
                "from raw.trip_predictions_versions"
            ).fetchone()
        assert found == (n_answers, 0, n_answers)


def test_nothing_logged_lands_nothing(settings: Settings) -> None:
    assert land_predictions(settings, SOURCE, date(2024, 3, 1), date(2024, 3, 9)) == []


def test_a_column_that_answers_do_not_have_is_named(settings: Settings) -> None:
    log = PredictionLog(settings.prediction_log)
    answer(log, 1)
    log.close()
    columns = [*DECLARED["columns"], {"name": "depot_id", "type": "text"}]
    wrong = Source.declare({**DECLARED, "columns": columns})
    with pytest.raises(PredictionsUnfit, match="'depot_id' from the answers of \"long_trip\""):
        land_predictions(settings, wrong, date(2024, 3, 1), date(2024, 3, 1))


def test_what_writes_the_files_is_no_part_of_what_rows_they_give() -> None:
    plain = Source.declare({name: value for name, value in DECLARED.items() if name != "predictions_of"})
    assert plain.digest() == SOURCE.digest()

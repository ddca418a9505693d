"""Answers as one more source: those about a day land as a Parquet file, like any other raw data.

A file is the same bytes for the same answers. How it is taken in, and joined with outcomes, is the source's.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.errors import PredictionsUnfit
from ml.prediction_log.reading import predicted_between
from ml.settings import Settings
from ml.sources.declaration import Source

_OF_ANSWER = ("answer_id", "row", "answered_at", "version", "prediction_at", "score")


def land_predictions(settings: Settings, source: Source, first: date, last: date) -> list[date]:
    """Write the files of the days (of a weekly source, weeks) from `first` to `last` that have answers.

    The source's columns are fields of an answer, or values that came with it. Gives the days whose file is
    new or another one. Raises PredictionsUnfit for a column that answers do not have.
    """
    assert source.predictions_of  # noqa: S101 the caller asks because it is declared
    step = timedelta(days=source.every_days or 1)
    names = [column.in_file for column in source.columns]
    of_values = [name for name in names if name not in _OF_ANSWER]
    end = last + step
    rows = predicted_between(settings.prediction_log, source.predictions_of, of_values, first, end)
    if rows is None:
        return []
    missing = sorted(set(names) - set(rows.column_names))
    if missing:
        raise PredictionsUnfit(source.name, source.predictions_of, missing, rows.column_names)
    written = []
    day = first
    while day <= last:
        own = rows.filter(_within(rows["prediction_at"], day, day + step))
        if own.num_rows and _write(settings, source, day, _ordered(own).select(names)):
            written.append(day)
        day += step
    return written


def _within(times: Any, first: date, end: date) -> Any:
    at = pc.cast(times, pa.date32())
    return pc.and_(pc.greater_equal(at, pa.scalar(first)), pc.less(at, pa.scalar(end)))


def _ordered(rows: pa.Table) -> pa.Table:
    """Each row of an answer once: what was compacted and still lies in its segment is the same."""
    order = [("answered_at", "ascending"), ("answer_id", "ascending"), ("row", "ascending")]
    rows = rows.sort_by(order)
    ids = zip(rows["answer_id"].to_pylist(), rows["row"].to_pylist(), strict=True)
    places: Mapping[tuple[str, int], int] = {one: n for n, one in reversed(list(enumerate(ids)))}
    return rows.take(pa.array(sorted(places.values())))


def _write(settings: Settings, source: Source, day: date, rows: pa.Table) -> bool:
    file = settings.landing / source.name / f"{day}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata(None), sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    if file.exists() and file.read_bytes() == data:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.part")
    partial.write_bytes(data)
    partial.replace(file)
    return True

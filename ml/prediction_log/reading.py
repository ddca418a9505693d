"""Finds answers in the log: in Parquet by day, and in segments that are not compacted yet.

Nothing is written, and nothing verified.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.errors import AnswerNotLogged
from ml.prediction_log.compaction import DAYS, read_segment, rows_of
from ml.prediction_log.ids import AnswerId
from ml.prediction_log.writing import SEGMENTS


def find(folder: Path, answer_id: str) -> pa.Table:
    """The rows of one answer, as `compaction.rows_of` gives them; metadata `features` names the model's.

    Raises AnswerIdMalformed, or AnswerNotLogged.
    """
    told = AnswerId.parse(answer_id)
    for table in _of_process(folder, told):
        found = table.filter(pc.equal(table["answer_id"], answer_id))
        if found.num_rows:
            return found
    raise AnswerNotLogged(answer_id, folder, _why(folder, told))


def day_of(folder: Path, day: date, model: str) -> list[pa.Table]:
    """The rows of a day's answers of one model, a table a version, route and segment."""
    tables = [table for _, table in _compacted(folder, day, "*")]
    tables += [
        table.filter(pc.equal(pc.cast(table["answered_at"], pa.date32()), pa.scalar(day)))
        for file in _segments(folder, "*")
        for table in _of_segment(file)
    ]
    return [one for one in tables if one.num_rows and one["model"][0].as_py() == model]


def newest_of(folder: Path, model: str, key: str, names: Sequence[str], n_rows: int) -> pa.Table | None:
    """The newest logged rows of a model, at most `n_rows`, that have all these values and a `key`.

    Columns are `answered_at`, `version`, `score`, `key` as text, and `names`. None where there is none.
    """
    found: list[pa.Table] = []
    n_found = 0
    for day in sorted(set(_days(folder)), reverse=True):
        for table in day_of(folder, day, model):
            told = _with(table, key, names)
            if told is not None:
                found.append(told)
                n_found += told.num_rows
        if n_found >= n_rows:
            break
    if not found:
        return None
    rows = pa.concat_tables(found, promote_options="permissive")
    return rows.sort_by([("answered_at", "descending")]).slice(0, n_rows)


def each_once(rows: pa.Table) -> pa.Table:
    """Of rows as `newest_of` gives them the newest about each entity: who asks again counts once."""
    newest: dict[str, int] = {}
    for n, key in enumerate(rows["key"].to_pylist()):
        newest.setdefault(key, n)
    return rows.take(pa.array(sorted(newest.values()), pa.int64()))


def _days(folder: Path) -> Iterator[date]:
    """The days that have answers."""
    for day in (folder / DAYS).glob("day=*"):
        yield date.fromisoformat(day.name.removeprefix("day="))
    for file in _segments(folder, "*"):
        for table in _of_segment(file):
            yield from pc.unique(pc.cast(table["answered_at"], pa.date32())).to_pylist()


def _with(table: pa.Table, key: str, names: Sequence[str]) -> pa.Table | None:
    values = table["values"].combine_chunks()
    if not {key, *names} <= {field.name for field in values.type}:
        return None
    told = {name: values.field(name) for name in names}
    of_answer = {name: table[name] for name in ("answered_at", "version", "score")}
    return pa.table({**of_answer, "key": values.field(key).cast(pa.string()), **told})


def predicted_between(
    folder: Path, model: str, names: Sequence[str], first: date, end: date
) -> pa.Table | None:
    """Predicted rows of a model whose `prediction_at` is from `first` on and before `end`.

    Columns are `answer_id`, `row`, `answered_at`, `version`, `prediction_at`, `score`, and those of `names`
    that came with every row. None where there is none.
    """
    found = []
    for table in _all(folder, model):
        values = table["values"].combine_chunks()
        present = {field.name for field in values.type}
        if table["route"][0].as_py() != "predict" or "prediction_at" not in present:
            continue
        told = {name: table[name] for name in ("answer_id", "row", "answered_at", "version", "score")}
        told |= {name: values.field(name) for name in ("prediction_at", *names) if name in present}
        rows = pa.table(told)
        at = pc.cast(rows["prediction_at"], pa.date32())
        rows = rows.filter(pc.and_(pc.greater_equal(at, pa.scalar(first)), pc.less(at, pa.scalar(end))))
        if rows.num_rows:
            found.append(rows)
    if not found:
        return None
    shared = [name for name in found[0].column_names if all(name in one.column_names for one in found)]
    return pa.concat_tables([one.select(shared) for one in found], promote_options="permissive")


def _all(folder: Path, model: str) -> Iterator[pa.Table]:
    """Segments are read first: one that is compacted meanwhile is then there twice, not never."""
    segments = [table for file in _segments(folder, "*") for table in _of_segment(file)]
    for day in sorted((folder / DAYS).glob("day=*")):
        for file in sorted(day.glob(f"*-{model}-*-predict.parquet")):
            yield pq.ParquetFile(file).read()
    yield from (one for one in segments if one.num_rows and one["model"][0].as_py() == model)


def predictions_of(folder: Path, model: str, key: str, n_days: int) -> pa.Table | None:
    """Predicted rows of a model's entities in the newest `n_days` that have answers; None where are none.

    Columns are `answer_id`, `answered_at`, `version`, `key`, `prediction_at` and `score`.
    """
    days = sorted((folder / DAYS).glob("day=*"))[-n_days:]
    tables = [
        table
        for day in days
        for file in sorted(day.glob(f"*-{model}-*-predict.parquet"))
        for table in [pq.ParquetFile(file).read()]
    ]
    tables += [table for file in _segments(folder, "*") for table in _of_segment(file)]
    found = [told for told in (_predicted(table, model, key) for table in tables) if told]
    return pa.concat_tables(found) if found else None


def _predicted(table: pa.Table, model: str, key: str) -> pa.Table | None:
    """Nothing of another model or route, or where the values have neither key nor time."""
    if not table.num_rows or table["model"][0].as_py() != model or table["route"][0].as_py() != "predict":
        return None
    values = table["values"].combine_chunks()
    names = [field.name for field in values.type]
    if key not in names or "prediction_at" not in names:
        return None
    told = table.select(["answer_id", "answered_at", "version"])
    told = told.append_column("key", values.field(key).cast(pa.string()))
    told = told.append_column("prediction_at", values.field("prediction_at"))
    return told.append_column("score", table["score"])


def _of_process(folder: Path, told: AnswerId) -> Iterator[pa.Table]:
    # First the segments: one that is compacted meanwhile is in the day's files after.
    for file in _segments(folder, told.process):
        yield from _of_segment(file)
    for _, table in _compacted(folder, told.day, told.process):
        yield table


def _segments(folder: Path, process: str) -> list[Path]:
    return sorted((folder / SEGMENTS).glob(f"*-{process}-*.log"))


def _of_segment(file: Path) -> Iterator[pa.Table]:
    try:
        segment = read_segment(file)
    except FileNotFoundError:
        return
    for number, shape in segment.shapes.items():
        answers = [one for one in segment.answers if one.shape == number]
        features = ",".join(shape.names[one] for one in shape.features)
        yield rows_of(shape, answers).replace_schema_metadata({"features": features})


def _compacted(folder: Path, day: date, process: str) -> Iterator[tuple[Path, Any]]:
    for file in sorted((folder / DAYS / f"day={day}").glob(f"*-{process}-*.parquet")):
        yield file, pq.ParquetFile(file).read()


def _why(folder: Path, told: AnswerId) -> str:
    if not folder.exists():
        return "there is no log yet"
    if any(_compacted(folder, told.day, told.process)) or _segments(folder, told.process):
        return "its process logged others, and this one was lost or never given"
    return f"no process {told.process} logged answers on {told.day}"

"""Logged answers computed again: scores from the logged features, features from the logged requests.

To the bit, by paths that the endpoint does not take: the batch scorer's, and DuckDB. What is read from the
log, and what a difference means, is the caller's matter.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.bundle import Bundle
from ml.errors import HeadwaterError
from ml.lake.published import Published
from ml.online import OnlineStore
from ml.prediction_log.reading import day_of
from ml.registry import Registry
from ml.row_scoring import RowCoder
from ml.settings import Settings
from ml.verification import read

SAMPLE = 500
_STORED = {"integer": pa.int64(), "real": pa.float64(), "boolean": pa.bool_(), "text": pa.string()}


def score_fault(bundle: Bundle, rows: pa.Table) -> str | None:
    """What is other when logged rows of one version and route are scored again; None when nothing is."""
    try:
        values = pa.Table.from_batches([pa.RecordBatch.from_struct_array(rows["values"].combine_chunks())])
        names = str((rows.schema.metadata or {})[b"features"].decode()).split(",")
        types = {name: values.schema.field(name).type for name in names}
        told = list(zip(*(values[name].to_pylist() for name in names), strict=True))
        found = read(bundle).predict(RowCoder(bundle.contract, types).coded(told)[0], threads=1)
    except HeadwaterError as failure:
        return str(failure)
    logged = np.array(rows["score"].to_pylist(), dtype=np.float64)
    for n in range(len(logged)):
        if found[n].tobytes() != logged[n].tobytes():
            return f"answer {rows['answer_id'][n]}: it was {logged[n]}, and computed again it is {found[n]}"
    return None


def feature_fault(bundle: Bundle, store: OnlineStore, rows: pa.Table) -> str | None:
    """What is other when the features of logged requests are looked up again over those online tables."""
    found = store.features(_request(bundle, rows), bundle.feature_sql)
    logged = rows["values"].combine_chunks()
    for feature in bundle.contract.features:
        then = [_plain(one) for one in logged.field(feature.name).to_pylist()]
        now = [_plain(one) for one in found[feature.name].to_pylist()]
        for n, (one, other) in enumerate(zip(then, now, strict=True)):
            if one != other:
                of = f"answer {rows['answer_id'][n]}"
                return f'{of}: "{feature.name}" was {one}, and by its SQL over that edition is {other}'
    return None


def _request(bundle: Bundle, rows: pa.Table) -> pa.Table:
    """Relation `request` of the logged bodies; rows of an answer lie together, in their order."""
    bodies = [
        body
        for body, row in zip(rows["request"].to_pylist(), rows["row"].to_pylist(), strict=True)
        if row == 0
    ]
    instances = [one for body in bodies for one in json.loads(body)["instances"]]
    columns: dict[str, Any] = {"request_row": pa.array(range(len(instances)), pa.int32())}
    for column in bundle.contract.request:
        given = [one.get(column.name) for one in instances]
        if column.kind == "timestamp":
            times = [None if one is None else datetime.fromisoformat(one).astimezone(UTC) for one in given]
            columns[column.name] = pa.array(
                [None if one is None else one.replace(tzinfo=None) for one in times], pa.timestamp("us")
            )
        elif column.kind == "date":
            days = [None if one is None else date.fromisoformat(one) for one in given]
            columns[column.name] = pa.array(days, pa.date32())
        else:
            columns[column.name] = pa.array(given, _STORED[column.kind])
    return pa.table(columns)


def _plain(value: Any) -> str:
    """What makes two values the same to the bit; a number of another width is the same number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(float(value)) if is_number else repr(value)


@dataclass
class Again:
    """What came of it: answers computed again, those whose model or tables are kept no more, and faults."""

    n_answers: int = 0
    n_rows: int = 0
    gone: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def answers_again(settings: Settings, model: str, days: Sequence[date], most: int = SAMPLE) -> Again:
    """Compute a sample of a model's answers of some days again: evenly of all that the log has."""
    tables = [one for day in days for one in day_of(settings.prediction_log, day, model)]
    n_all = sum(len(pc.unique(table["answer_id"])) for table in tables)
    step = max(1, -(-n_all // most))
    made = Again()
    for rows in _grouped(table for table in (_every(one, step) for one in tables) if table.num_rows):
        made.n_answers += len(pc.unique(rows["answer_id"]))
        made.n_rows += rows.num_rows
        _check(settings, rows, made)
    return made


def _check(settings: Settings, rows: pa.Table, made: Again) -> None:
    """Rows of one model, version, route and edition."""
    model, version = rows["model"][0].as_py(), rows["version"][0].as_py()
    try:
        bundle = Registry(settings.registry).get(model, version)
    except HeadwaterError as gone:
        made.gone.append(str(gone))
        return
    made.faults += [one for one in [score_fault(bundle, rows)] if one]
    if rows["route"][0].as_py() != "predict":
        return
    try:
        published = Published(settings)
        edition = published.edition(rows["edition"][0].as_py())
        store = OnlineStore.from_published(published, edition, bundle.contract.online_tables)
    except (HeadwaterError, FileNotFoundError) as gone:
        made.gone.append(str(gone))
        return
    made.faults += [one for one in [feature_fault(bundle, store, rows)] if one]


def _every(table: pa.Table, step: int) -> pa.Table:
    """The rows of every so many answers."""
    ids = pc.unique(table["answer_id"])
    chosen = ids.take(pa.array(range(0, len(ids), step)))
    return table.filter(pc.is_in(table["answer_id"], value_set=chosen))


def _grouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Tables by version, route and edition, each answer's rows together and in their order."""
    groups: dict[tuple[str, str, int], list[pa.Table]] = {}
    for table in tables:
        for edition in pc.unique(table["edition"]).to_pylist():
            key = table["version"][0].as_py(), table["route"][0].as_py(), edition
            groups.setdefault(key, []).append(table.filter(pc.equal(table["edition"], edition)))
    for of in groups.values():
        rows = pa.concat_tables(of)
        yield rows.sort_by([("answer_id", "ascending"), ("row", "ascending")]).replace_schema_metadata(
            of[0].schema.metadata
        )

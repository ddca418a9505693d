"""Finished segments of the log become Parquet by day and shape; what is missing in them is told.

A segment whose writer lives is left alone. Killed at any point and run again, no row is lost or doubled:
files are named by their segment, put in place by a rename, and the segment goes last.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.online_plan.bound import ARROW
from ml.online_plan.kinds import Kind, given
from ml.prediction_log.frames import read_frames
from ml.prediction_log.ids import COUNT_FROM, AnswerId
from ml.prediction_log.record import STAGES, Answered, Batch, Ended, Payload, Shape, Started, decode
from ml.prediction_log.writing import SEGMENTS

DAYS = "days"


@dataclass(frozen=True)
class Segment:
    """A segment as far as it is whole; `ended` is None when its writer was killed."""

    name: str
    started: Started | None
    shapes: dict[int, Shape]
    answers: tuple[Answered, ...]
    ended: Ended | None
    n_torn_bytes: int


@dataclass(frozen=True)
class Gap:
    """Answers that were given, or may have been, and are not in the log.

    `counts` are the first and last missing ones of a process' ids; the last is None when its end is not
    known, because the process was killed with answers unwritten: of at most the last second. `model` and
    `version` are what the process answered with first; empty if it never did.
    """

    process: str
    segment: str
    counts: tuple[int, int | None]
    after_us: int
    model: str
    version: str

    @property
    def key(self) -> str:
        """What names it: it is told once."""
        return f"log_gap:{self.process}:{self.counts[0]}"


@dataclass(frozen=True)
class Compacted:
    """What one run did."""

    n_segments: int
    n_answers: int
    n_rows: int
    gaps: tuple[Gap, ...]


def compact(folder: Path) -> Compacted:
    """Compact every segment whose writer is done with it; raises OSError, with all segments still there."""
    n_segments = n_answers = n_rows = 0
    gaps: list[Gap] = []
    for file in sorted((folder / SEGMENTS).glob("*.log")):
        with _held(file) as is_free:
            if not is_free:
                continue
            segment = read_segment(file)
            for shape, answers in _by_shape(segment):
                n_rows += _save(folder, segment, shape, answers)
            gaps += gaps_of(segment)
            n_segments, n_answers = n_segments + 1, n_answers + len(segment.answers)
            file.unlink()
    return Compacted(n_segments, n_answers, n_rows, tuple(gaps))


def read_segment(file: Path) -> Segment:
    """Everything that is whole in a segment, also in one that is still written to."""
    frames = read_frames(file)
    payloads: list[Payload] = [decode(data) for data in frames.payloads]
    return Segment(
        name=file.stem,
        started=next((one for one in payloads if isinstance(one, Started)), None),
        shapes={one.number: one for one in payloads if isinstance(one, Shape)},
        answers=tuple(_answers(payloads)),
        ended=next((one for one in payloads if isinstance(one, Ended)), None),
        n_torn_bytes=frames.n_torn_bytes,
    )


def _answers(payloads: Sequence[Payload]) -> Iterator[Answered]:
    for one in payloads:
        if isinstance(one, Batch):
            yield from one.answers
        elif isinstance(one, Answered):  # as format 1 has them
            yield one


def gaps_of(segment: Segment) -> Iterator[Gap]:
    """Counts that are missing between answers, and the open end of a killed writer.

    Answers are logged nearly in the order of their counts; what is still missing at the end is a gap.
    """
    if segment.started is None:
        return
    process = segment.started.process
    counts = [segment.started.after_count]
    counts += sorted(int(one.id[COUNT_FROM:], 16) for one in segment.answers)
    served = next(iter(segment.shapes.values()), None)
    model, version = (served.model, served.version) if served else ("", "")
    last_us = max((one.at_us for one in segment.answers), default=segment.started.at_us)
    for before, after in pairwise(counts):
        if after > before + 1:
            yield Gap(process, segment.name, (before + 1, after - 1), last_us, model, version)
    if segment.ended is None:
        yield Gap(process, segment.name, (counts[-1] + 1, None), last_us, model, version)


def rows_of(shape: Shape, answers: Sequence[Answered]) -> pa.Table:
    """One row a predicted row: what is of the answer, struct `values` of what came with it, the scores."""
    pairs = [(one, place) for one in answers for place in range(len(one.scores))]
    told: dict[str, Any] = {
        "answer_id": pa.array([one.id for one, _ in pairs], pa.string()),
        "row": pa.array([place for _, place in pairs], pa.int32()),
        "answered_at": pa.array([one.at_us for one, _ in pairs], pa.timestamp("us")),
        "model": pa.array([shape.model] * len(pairs), pa.string()),
        "version": pa.array([shape.version] * len(pairs), pa.string()),
        "route": pa.array([shape.route] * len(pairs), pa.string()),
        "edition": pa.array([one.edition for one, _ in pairs], pa.int64()),
        "features_as_of": pa.array([one.as_of_us for one, _ in pairs], pa.timestamp("us")),
        "request": pa.array([one.request for one, _ in pairs], pa.binary()),
    }
    for place, stage in enumerate(STAGES):
        values = [one.stages[place] for one, _ in pairs]
        told[f"{stage}_us"] = pa.array(values, pa.int32())
    by_column = zip(*(row for one in answers for row in _rows(one, shape)), strict=True)
    columns = [_column(values, kind) for values, kind in zip(by_column, shape.kinds, strict=True)]
    told["values"] = pa.StructArray.from_arrays(columns, list(shape.names))
    scores = [one.scores[row] for one, row in pairs]
    told["score"] = pa.array(scores, pa.list_(pa.float64()) if shape.classes else pa.float64())
    return pa.table(told)


def _rows(one: Answered, shape: Shape) -> Sequence[Sequence[Any]]:
    """Rows of values; those of an Arrow stream in the order of the names, with nothing where it has none."""
    if not isinstance(one.rows, bytes):
        return one.rows
    with pa.ipc.open_stream(one.rows) as stream:
        table = stream.read_all()
    present = set(table.column_names)
    columns = [
        table[name].to_pylist() if name in present else [None] * table.num_rows for name in shape.names
    ]
    return list(zip(*columns, strict=True))


def _column(values: Sequence[Any], kind: Kind) -> pa.Array:
    """Values as compiled SQL holds them, as Arrow stores them."""
    stored = ARROW.get(kind, pa.string())
    if kind in ("timestamp", "date"):
        return pa.array(values, pa.int64() if kind == "timestamp" else pa.int32()).cast(stored)
    if kind == "decimal":
        return pa.array([given(value, kind) for value in values], stored)
    return pa.array(values, stored)


def _save(folder: Path, segment: Segment, shape: Shape, answers: Sequence[Answered]) -> int:
    """One file a day, shape and segment."""
    n_rows = 0
    by_day: dict[str, list[Answered]] = {}
    for one in answers:
        by_day.setdefault(one.id[:8], []).append(one)
    for of_day in by_day.values():
        place = folder / DAYS / f"day={AnswerId.parse(of_day[0].id).day}"
        place.mkdir(parents=True, exist_ok=True)
        table = rows_of(shape, of_day)
        file = place / f"{segment.name}-{shape.model}-{shape.version[:12]}-{shape.route}.parquet"
        part = file.with_suffix(".part")
        features = ",".join(shape.names[one] for one in shape.features)
        pq.write_table(table.replace_schema_metadata({"features": features}), part, compression="zstd")
        part.replace(file)
        n_rows += table.num_rows
    return n_rows


def _by_shape(segment: Segment) -> Iterator[tuple[Shape, list[Answered]]]:
    for number, shape in segment.shapes.items():
        answers = [one for one in segment.answers if one.shape == number]
        if answers:
            yield shape, answers


@contextmanager
def _held(file: Path) -> Iterator[bool]:
    """Whether the segment's writer has let go of it, and then nobody else compacts it meanwhile."""
    try:
        handle = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file.exists()
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)

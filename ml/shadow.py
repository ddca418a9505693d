"""What models would have said of the newest days, though nobody asked: champion, candidate and baseline.

Scores of a day are kept as long as its rows are the same. How good they were is `ml.quality`'s matter.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.contract import Contract
from ml.lake.editions import Edition
from ml.lake.published import Published

Scoring = Callable[[pa.Table], NDArray[np.float64]]


@dataclass(frozen=True)
class Shadow:
    """Scores of one model by day, kept in a folder under `name`."""

    folder: Path
    name: str
    contract: Contract
    table: str

    def scores(
        self,
        published: Published,
        edition: Edition,
        days: Sequence[date],
        score: Callable[[], Scoring],
    ) -> pa.Table:
        """Key, `prediction_at`, day and score (of classes a list) of every row that the table has on `days`.

        `score` gives what scores rows of features, and is not called where all is kept.
        """
        file = self.folder / f"{self.name}.parquet"
        parts = published.parts(self.table, edition)
        wanted = [day for day in days if day in parts]
        kept = pq.read_table(file) if file.exists() else None
        known = _known(kept, parts)
        missing = [day for day in wanted if day not in known]
        tables = [_on(kept, known)] if kept is not None else []
        if missing:
            tables.append(self._score(published, edition, missing, parts, score()))
            self._write(file, pa.concat_tables(tables))
        if not tables:
            return _EMPTY
        return _on(pa.concat_tables(tables), wanted).drop_columns(["part"])

    def _score(
        self,
        published: Published,
        edition: Edition,
        days: Sequence[date],
        parts: Mapping[date, str],
        score: Scoring,
    ) -> pa.Table:
        key, names = self.contract.key, [feature.name for feature in self.contract.features]
        columns = list(dict.fromkeys([key, "prediction_at", "day", *names]))
        rows = published.read(
            self.table, edition=edition, columns=columns, first_day=days[0], last_day=days[-1]
        )
        rows = _on(rows, days)
        told = score(rows)
        place = pc.index_in(rows["day"], value_set=pa.array(days, pa.date32()))
        return pa.table(
            {
                "key": rows[key].cast(pa.string()),
                "prediction_at": rows["prediction_at"],
                "day": rows["day"],
                "part": pa.array([parts[day] for day in days], pa.string()).take(place.combine_chunks()),
                "score": _lists(told),
            }
        )

    def _write(self, file: Path, rows: pa.Table) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".part")
        pq.write_table(rows, partial, compression="zstd")
        partial.replace(file)


_EMPTY = pa.table(
    {
        "key": pa.array([], pa.string()),
        "prediction_at": pa.array([], pa.timestamp("us")),
        "day": pa.array([], pa.date32()),
        "score": pa.array([], pa.list_(pa.float64())),
    }
)


def _known(kept: pa.Table | None, parts: Mapping[date, str]) -> set[date]:
    if kept is None:
        return set()
    named = kept.group_by(["day", "part"]).aggregate([]).to_pylist()
    return {one["day"] for one in named if parts.get(one["day"]) == one["part"]}


def _on(rows: pa.Table, days: Collection[date]) -> pa.Table:
    return rows.filter(pc.is_in(rows["day"], value_set=pa.array(sorted(days), pa.date32())))


def _lists(told: NDArray[np.float64]) -> pa.Array:
    width = told.shape[1] if told.ndim > 1 else 1
    ends = pa.array(np.arange(len(told) + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(ends, pa.array(told.reshape(-1)))


def matrix_of(rows: pa.Table) -> NDArray[Any]:
    """The scores of shape (n,), or (n, classes)."""
    told: NDArray[Any] = rows["score"].combine_chunks().flatten().to_numpy()
    width = len(told) // max(rows.num_rows, 1)
    return told if width <= 1 else told.reshape(rows.num_rows, width)


def sweep(folder: Path, kept: Sequence[str]) -> None:
    """Remove what is kept of other models than these."""
    for file in folder.glob("*.parquet"):
        if file.stem not in kept:
            file.unlink(missing_ok=True)

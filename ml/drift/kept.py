"""Fingerprints of a published table by day, kept: a day is counted once, and again only when its rows change.

What they show is watching's matter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml import canonical
from ml.drift.bins import Bins
from ml.drift.fingerprint import Counted, Fingerprint
from ml.drift.taking import take_table
from ml.lake.editions import Edition
from ml.lake.published import Published

_ROWS_AT_ONCE = 31  # days
_SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("part", pa.string()),
        ("feature", pa.string()),
        ("n_rows", pa.int64()),
        ("n_missing", pa.int64()),
        ("counts", pa.list_(pa.int64())),
        ("minimum", pa.float64()),
        ("maximum", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Kept:
    """A folder with a Parquet file for each set of bins; other engines may read it."""

    folder: Path

    def by_day(
        self, published: Published, edition: Edition, table: str, bins: Sequence[Bins]
    ) -> dict[date, Fingerprint]:
        """Of every day that the table has in an edition; those not kept are counted now."""
        file = self._file(table, bins)
        parts, known = published.parts(table, edition), _read(file, bins)
        found = {day: one for day, (part, one) in known.items() if parts.get(day) == part}
        wanted = sorted(parts.keys() - found.keys())
        for days in _together(wanted):
            columns = ["day", *(one.name for one in bins)]
            rows = published.read(
                table, edition=edition, columns=columns, first_day=days[0], last_day=days[-1]
            )
            found |= {day: one for day, one in take_table(rows, bins, "day").items() if day in days}
        if wanted or known.keys() - parts.keys():
            _write(file, found, parts)
        return found

    def _file(self, table: str, bins: Sequence[Bins]) -> Path:
        return self.folder / f"{table}-{canonical.digest(canonical.dumps(tuple(bins)))[:16]}.parquet"

    def sweep(self, table: str, bins: Sequence[Bins]) -> None:
        """Remove what is kept of a table by other bins: of models that are asked about no more."""
        kept = self._file(table, bins)
        for file in self.folder.glob(f"{table}-*.parquet"):
            if file != kept:
                file.unlink(missing_ok=True)


def _together(days: Sequence[date]) -> Iterator[list[date]]:
    for n in range(0, len(days), _ROWS_AT_ONCE):
        yield list(days[n : n + _ROWS_AT_ONCE])


def _read(file: Path, bins: Sequence[Bins]) -> dict[date, tuple[str, Fingerprint]]:
    if not file.exists():
        return {}
    rows = pq.read_table(file).to_pydict()
    found: dict[date, tuple[str, list[Counted]]] = {}
    names = ("n_rows", "n_missing", "counts", "minimum", "maximum")
    for day, part, *told in zip(rows["day"], rows["part"], *(rows[name] for name in names), strict=True):
        n_rows, n_missing, counts, low, high = told
        found.setdefault(day, (part, []))[1].append(Counted(n_rows, n_missing, tuple(counts), low, high))
    return {day: (part, Fingerprint(tuple(bins), tuple(of))) for day, (part, of) in found.items()}


def _write(file: Path, found: Mapping[date, Fingerprint], parts: Mapping[date, str]) -> None:
    rows = [
        (day, parts[day], bins.name, one.n_rows, one.n_missing, one.counts, one.minimum, one.maximum)
        for day in sorted(found)
        for bins, one in zip(found[day].bins, found[day].columns, strict=True)
    ]
    columns = [pa.array(of, field.type) for of, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)]
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    pq.write_table(pa.table(columns, schema=_SCHEMA) if rows else _SCHEMA.empty_table(), partial)
    partial.replace(file)

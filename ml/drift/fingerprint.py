"""What is kept of many rows: counts by bin of every feature. Those of two parts add up to that of both.

How far two of them are from each other is measured elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml import canonical
from ml.drift.bins import Bins


@dataclass(frozen=True)
class Counted:
    """One feature in some rows: how many are missing, how many in each bin, the least and the greatest."""

    n_rows: int
    n_missing: int
    counts: tuple[int, ...]
    minimum: float | None = None
    maximum: float | None = None

    def __add__(self, other: "Counted") -> "Counted":
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        lows = [one.minimum for one in (self, other) if one.minimum is not None]
        highs = [one.maximum for one in (self, other) if one.maximum is not None]
        return Counted(
            self.n_rows + other.n_rows,
            self.n_missing + other.n_missing,
            counts,
            min(lows, default=None),
            max(highs, default=None),
        )

    @property
    def missing_share(self) -> float:
        """Of rows; 0 of none."""
        return self.n_missing / self.n_rows if self.n_rows else 0.0


@dataclass(frozen=True)
class Fingerprint:
    """Counts of every feature, in the order of its bins."""

    bins: tuple[Bins, ...]
    columns: tuple[Counted, ...]

    @property
    def n_rows(self) -> int:
        return self.columns[0].n_rows if self.columns else 0

    def __add__(self, other: "Fingerprint") -> "Fingerprint":
        if self.bins != other.bins:
            raise ValueError("fingerprints of different bins do not add up")
        columns = tuple(a + b for a, b in zip(self.columns, other.columns, strict=True))
        return Fingerprint(self.bins, columns)

    @property
    def by_name(self) -> Mapping[str, Counted]:
        return {bins.name: counted for bins, counted in zip(self.bins, self.columns, strict=True)}

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Fingerprint":
        """Read what `to_json` gave."""
        return canonical.loads(cls, text)


def nothing(bins: Sequence[Bins]) -> Fingerprint:
    """The fingerprint of no rows, to which others are added."""
    return Fingerprint(tuple(bins), tuple(Counted(0, 0, (0,) * one.n_bins) for one in bins))


def merged(bins: Sequence[Bins], parts: Iterable[Fingerprint]) -> Fingerprint:
    """The fingerprint of all rows of some parts."""
    return sum(parts, nothing(bins))


def quantiles(bins: Bins, counted: Counted, shares: Sequence[float]) -> list[float | None]:
    """Numbers that these shares of the known values lie below, within a bin by interpolation.

    None where there is no value. The least and the greatest bound the outermost bins.
    """
    low, high, n_known = counted.minimum, counted.maximum, sum(counted.counts)
    if low is None or high is None or not n_known:
        return [None for _ in shares]
    ends = np.clip([*bins.edges, high], low, high)
    starts = np.clip([low, *bins.edges], low, high)
    filled = np.array(counted.counts) > 0
    after = np.cumsum(counted.counts) / n_known
    before = after - np.array(counted.counts) / n_known
    knots = np.stack([before[filled], after[filled]], axis=1).ravel()
    values = np.stack([starts[filled], ends[filled]], axis=1).ravel()
    return [float(one) for one in np.interp(shares, knots, values)]

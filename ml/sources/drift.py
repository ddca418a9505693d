"""Which files of a batch are not what the days before were: categories and units.

The header's part is `header`'s; which numbers a day is known by is `fingerprints`'.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb
import pyarrow as pa

from ml.sources import fingerprints, units
from ml.sources.declaration import Source
from ml.sources.findings import Finding
from ml.sources.fingerprints import Fingerprint, History

FEWEST_VALUES = 10  # fewer are no distribution


@dataclass
class Drifted:
    """What changed: findings by file, and the categories each file is the first to have."""

    findings: dict[int, list[Finding]] = field(default_factory=dict)
    new: list[tuple[int, str, str]] = field(default_factory=list)
    kept_out: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, no: int, finding: Finding) -> None:
        """Note a finding of a file."""
        self.findings.setdefault(no, []).append(finding)

    def new_categories(self) -> pa.Table:
        """`_file`, `column_name`, `category` of what is to be kept as seen."""
        return _table(self.new)

    def kept_out_categories(self) -> pa.Table:
        """The same of what goes to quarantine."""
        return _table(self.kept_out)


def find(con: duckdb.DuckDBPyConnection, source: Source, days: Mapping[int, date | None]) -> Drifted:
    """Compare `_rows` of files (their `days` by number, in order of arrival) with the days before.

    A file whose units changed does not count as history for the next one when that refuses it.
    """
    drifted = Drifted()
    if not (source.drift.units or source.drift.categories):
        return drifted
    fingerprints.register_fingerprints(con, source)
    fresh = fingerprints.fresh(con)
    known = fingerprints.history(con, source, [day for day in days.values() if day])
    seen = fingerprints.categories_seen(con, source)
    for no in sorted(fresh):
        for column, print_ in fresh[no]:
            for finding in (
                *_categories(source, drifted, no, (column, print_), (known, seen.setdefault(column, set()))),
                *_units(source, (column, print_), known),
            ):
                drifted.add(no, finding)
        if any(finding.action == "fail" for finding in drifted.findings.get(no, ())):
            continue
        for column, print_ in fresh[no]:
            known.add(column, print_)
            known.days.add(print_.day)
    return drifted


def _categories(
    source: Source, drifted: Drifted, no: int, of: tuple[str, Fingerprint], past: tuple[History, set[str]]
) -> Iterator[Finding]:
    policy, (column, print_), (known, seen) = source.drift.categories, of, past
    if policy is None or column not in policy.columns:
        return
    unseen = sorted(print_.categories - seen - set(policy.known.get(column, ())))
    learning = len(known.days) < policy.after_days
    if learning or policy.new == "warn":
        drifted.new += [(no, column, value) for value in unseen]
        seen.update(unseen)
    elif policy.new == "quarantine":
        drifted.kept_out += [(no, column, value) for value in unseen]
    for value in unseen if not learning else ():
        told = f'"{value}" was never seen in the {len(known.days)} days before'
        expected = f"one of {_some(seen)}; if it is meant, name it at drift.categories.known.{column}"
        yield Finding("new_category", column, told, expected, policy.new)
    before = known.before(column, print_.day, policy.after_days)
    if 2 * len(before) >= policy.after_days:
        gone = frozenset.intersection(*(one.categories for one in before)) - print_.categories
        for value in sorted(gone):
            told = f'"{value}" is gone, which each of the {len(before)} days before had'
            yield Finding("vanished_category", column, told, f'"{value}"', "inform")


def _units(source: Source, of: tuple[str, Fingerprint], known: History) -> Iterator[Finding]:
    policy, (column, print_) = source.drift.units, of
    if policy is None or column not in policy.columns or print_.n_values < FEWEST_VALUES:
        return
    window = known.before(column, print_.day, policy.window_days, policy.since)
    before = [one.quantiles for one in window if one.n_values >= FEWEST_VALUES]
    if 2 * len(before) < policy.window_days:
        return
    far = units.distance(print_.quantiles, before)
    if far > policy.times:
        told, expected = _words(print_, before, far)
        expected += f" (drift.units.times is {policy.times:g}; if it is meant, set drift.units.since)"
        yield Finding("changed_units", column, told, expected, policy.changed)


def _words(print_: Fingerprint, before: Sequence[Sequence[float]], far: float) -> tuple[str, str]:
    middle = len(fingerprints.QUANTILES) // 2
    like = units.conversion(print_.quantiles, before)
    medians = [one[middle] for one in before]
    return (
        f"the median is {print_.quantiles[middle]:g} and the values lie {far:.1f} times as far out as any of "
        f"the {len(before)} days before" + (f", as {like} would" if like else ""),
        f"a median like those days' {min(medians):g} to {max(medians):g}",
    )


def _some(values: set[str], most: int = 12) -> str:
    shown = sorted(values)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def _table(rows: Sequence[tuple[int, str, str]]) -> pa.Table:
    return pa.table(
        {
            "_file": pa.array([no for no, _, _ in rows], pa.int32()),
            "column_name": pa.array([column for _, column, _ in rows], pa.string()),
            "category": pa.array([value for _, _, value in rows], pa.string()),
        }
    )

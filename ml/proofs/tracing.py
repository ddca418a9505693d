"""From a cell that differs to the raw rows that it knew too early, by halving.

That a cell differs is `leakage`'s finding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any, TypeVar

from ml.proofs.comparing import to_the_bit
from ml.proofs.cutoffs import Window
from ml.proofs.leakage import Difference, Leak, Plan, altered
from ml.proofs.rebuild import Scratch, Table, upstream
from ml.proofs.worlds import How, RawRow, RowId, Worlds

T = TypeVar("T")

# How far beyond the cutoff leaked rows are looked for, nearest first: near ones cost little. Rows of days up
# to the cutoff cost little however late they became known.
_EVER_DAYS = 36_500
_REACHES_DAYS = (1, _EVER_DAYS, 4, 16, 64, 256)
_MAX_PROBES = 60  # for one cell
_MAX_CELLS = 8  # of one table that are traced when no rows found so far explain them


@dataclass(frozen=True)
class _Origin:
    """The raw rows that a cell comes from, and whether they are the fewest."""

    rows: tuple[RawRow, ...] = ()
    is_minimal: bool = False


def trace(plan: Plan, differences: Sequence[Difference]) -> list[Leak]:
    """A leak for each table and column that differs, with the raw rows it comes from where they are found.

    Cells of the same table that change with the rows found for another cell are not traced again.
    """
    leaks: dict[tuple[str, str | None], Leak] = {}
    for (relation, _), group in groupby(differences, key=lambda one: (one.audited.table.relation, one.how)):
        fresh = [one for one in group if (relation, one.cell.column) not in leaks]
        for one, origin in zip(fresh, _origins(plan, fresh), strict=True):
            leaks[relation, one.cell.column] = _leak(one, origin)
    return list(leaks.values())


def _leak(one: Difference, origin: _Origin) -> Leak:
    cell = one.cell
    return Leak(
        table=one.audited.table.relation,
        column=cell.column,
        key=cell.key,
        cutoff=one.cutoff,
        how=one.how,
        stands=cell.one,
        without=cell.other,
        n_rows=one.n_rows,
        rows=origin.rows,
        is_minimal=origin.is_minimal,
    )


def _origins(plan: Plan, group: Sequence[Difference]) -> list[_Origin]:
    """Where the differences of one table, found in one way, come from."""
    found: dict[int, _Origin] = {}
    reaches = _REACHES_DAYS if group and group[0].how == "removed" else (plan.scramble_days,)
    for reach in reaches:
        if len(found) == len(group):
            break
        days = plan.window(group[0].cutoff.at, reach if reach != _EVER_DAYS else 0)
        tables = tuple(plan.compile(days.first_day, days.last_day))
        with plan.snapshot.scratch() as scratch:
            probe = _Probe(plan, scratch, group, days=days, tables=tables, reach_days=reach)
            found |= _explained(probe, set(found))
    return [found.get(place, _Origin()) for place in range(len(group))]


def _explained(probe: "_Probe", known: set[int]) -> dict[int, _Origin]:
    """Origins by place in the group, of the cells that the probe's late rows change."""
    late, found = probe.late_rows(), {}
    open_ = probe.changed(late) - known
    for _ in range(_MAX_CELLS):
        if not open_:
            break
        target = min(open_)
        fewest, is_minimal = minimise(late, _changes(probe, target), _MAX_PROBES)
        rows = probe.worlds.rows(fewest)
        for place in (probe.changed(fewest) & open_) | {target}:
            found[place] = _Origin(rows, is_minimal)
        open_ -= set(found)
    return found


def _changes(probe: "_Probe", target: int) -> Callable[[Sequence[RowId]], bool]:
    return lambda rows: target in probe.changed(rows)


def minimise(
    items: Sequence[T], is_enough: Callable[[Sequence[T]], bool], budget: int
) -> tuple[list[T], bool]:
    """Fewer and fewer of `items` that are still enough (all of them are), by halves, then by finer parts.

    Returns them, and whether none of them can be left out. Asks at most `budget` times. It is the algorithm
    `ddmin` of Zeller and Hildebrandt (2002), https://doi.org/10.1109/32.988498.
    """
    left, n_parts = list(items), 2
    while len(left) > 1:
        for smaller, is_part in _parts(left, n_parts):
            if budget <= 0:
                return left, False
            budget -= 1
            if is_enough(smaller):
                left, n_parts = smaller, 2 if is_part else max(n_parts - 1, 2)
                break
        else:
            if n_parts >= len(left):
                return left, True
            n_parts = min(2 * n_parts, len(left))
    return left, True


def _parts(items: list[T], n_parts: int) -> Iterator[tuple[list[T], bool]]:
    """The items in parts (True), then without each part (False)."""
    bounds = [place * len(items) // n_parts for place in range(n_parts + 1)]
    spans = list(pairwise(bounds))
    for start, end in spans:
        yield items[start:end], True
    for start, end in spans if n_parts > 2 else ():  # noqa: PLR2004  without one half is the other
        yield items[:start] + items[end:], False


class _Probe:
    """Computes one table again with some of the late rows, and says which of the differing cells change."""

    def __init__(
        self,
        plan: Plan,
        scratch: Scratch,
        group: Sequence[Difference],
        *,
        days: Window,
        tables: Sequence[Table],
        reach_days: int,
    ) -> None:
        audited = group[0].audited
        self.worlds = Worlds(scratch.connection, plan.sources, group[0].cutoff.at, reach_days)
        self._scratch, self._group, self._days = scratch, group, days
        self._how: How = "restored" if group[0].how == "removed" else "scrambled"
        self._table, self._due = audited.table, audited.due
        self._tables = upstream(tables, [audited.table.relation])
        self._only = {table.relation for table in altered(tables, self.worlds)}
        self._keys = sorted({_condition(one.cell.key) for one in group})
        self._base = self._cells("removed", None)

    def late_rows(self) -> list[RowId]:
        """Rows that the cells could come from: of the days that are computed, known after the cutoff."""
        return self.worlds.late_rows(self._days.last_day)

    def changed(self, rows: Sequence[RowId]) -> set[int]:
        """Places in the group of the cells that these late rows change."""
        cells = self._cells(self._how, rows)
        return {place for place, cell in enumerate(cells) if cell != self._base[place]}

    def _cells(self, how: How, rows: Sequence[RowId] | None) -> list[list[str]]:
        self._scratch.clear()
        self._scratch.raw(self.worlds.raw(how, rows))
        where = {self._table.relation: " or ".join(self._keys)}
        self._scratch.rebuild(self._tables, self._days.first_day, keep="before", only=self._only, where=where)
        return [self._cell(one) for one in self._group]

    def _cell(self, one: Difference) -> list[str]:
        """A cell to the bit, as text; for a row that is missing, when it is due."""
        column = one.cell.column or self._due
        types = self._scratch.columns(self._table)
        rows = self._scratch.connection.execute(
            f"select {to_the_bit(_q(column), types[column])}::varchar "
            f"from workshop.{_q(self._table.schema)}.{_q(self._table.name)} where {_condition(one.cell.key)}"
        ).fetchall()
        return sorted(str(value) for (value,) in rows)


def _condition(key: Any) -> str:
    """SQL that is true for the rows of a key."""
    return "(" + " and ".join(f"{_q(name)} is not distinct from {_literal(key[name])}" for name in key) + ")"


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"timestamp '{value}'"
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

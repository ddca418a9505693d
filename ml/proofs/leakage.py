"""The leakage audit: are the rows that were due by a cutoff the same without what became known after it?

For each cutoff raw is taken as it could have been then (`worlds`), everything made from it is computed again
(`rebuild`), and every due row must be equal to the bit (`comparing`). Single raw rows are found in `tracing`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ml.errors import LeakFound, NotAuditable, StandsOtherwise
from ml.proofs.comparing import Cell, Comparison
from ml.proofs.cutoffs import Cutoff, Sample, Window, choose, window
from ml.proofs.rebuild import Scratch, Snapshot, Table, downstream, lookback, upstream
from ml.proofs.worlds import How, RawRow, Worlds
from ml.sources.declaration import Source

Compile = Callable[[date, date], Sequence[Table]]

PREDICTION_AT = "prediction_at"
LABEL_KNOWN_AT = "label_known_at"
KNOWN_AT = "known_at"
CORRECTED_AT = "corrected_at"
SUPERSEDED_AT = "superseded_at"
WORLDS: tuple[How, ...] = ("removed", "scrambled")


@dataclass(frozen=True)
class Audited:
    """A table under audit, and the column that says when each of its rows is due."""

    table: Table
    due: str

    def rows(self, catalog: str, at: Any, first_day: date, *, is_all: bool = False) -> str:
        """A query, in brackets, for its rows due by `at` on the recomputed days (or all of those days)."""
        conditions = [f"day >= date '{first_day}'"] if self.table.is_by_day else []
        conditions += [] if is_all else [self.is_due(at)]
        where = f" where {' and '.join(conditions)}" if conditions else ""
        # Until when a version will have held is not known while it holds.
        held = f"case when {SUPERSEDED_AT} <= timestamp '{at}' then {SUPERSEDED_AT} end as {SUPERSEDED_AT}"
        shown = f"* replace ({held})" if SUPERSEDED_AT in self.table.types else "*"
        return f'(select {shown} from {catalog}."{self.table.schema}"."{self.table.name}"{where})'

    def is_due(self, at: Any) -> str:
        """SQL: whether a row is due by `at`; a correction not before it was made."""
        corrected = f", {CORRECTED_AT}" if CORRECTED_AT in self.table.types else ""
        return f"greatest({self.due}{corrected}) <= timestamp '{at}'"


@dataclass(frozen=True)
class Difference:
    """A column of a table that is not the same in a world; column None: rows that are not there in both."""

    audited: Audited
    cutoff: Cutoff
    how: How
    n_rows: int
    cell: Cell


@dataclass(frozen=True)
class Leak:
    """A cell that knew what was not known yet: as it stands, and as it is without that.

    `rows` are the raw rows it knew, the fewest that give a difference when `is_minimal`; none when they could
    not be singled out. `n_rows` counts the due rows in which the column differs.
    """

    table: str
    column: str | None
    key: Mapping[str, Any]
    cutoff: Cutoff
    how: How
    stands: Any
    without: Any
    n_rows: int
    rows: tuple[RawRow, ...] = ()
    is_minimal: bool = False

    def __str__(self) -> str:
        entity = ", ".join(f"{name}={value}" for name, value in self.key.items())
        what = f'column "{self.column}"' if self.column else "the row itself"
        shown = "; ".join(map(str, self.rows[:3])) or "raw rows that could not be singled out"
        more = f" and {len(self.rows) - 3} more" if len(self.rows) > 3 else ""  # noqa: PLR2004
        fewest = "" if self.is_minimal or not self.rows else " (perhaps not all are needed)"
        return (
            f'table "{self.table}", {what}, {entity}: {self.stands!r} as it stands, {self.without!r} with '
            f"what was not known at {self.cutoff} {self.how}; {self.n_rows} row(s) so. "
            f"It comes from {shown}{more}{fewest}."
        )


@dataclass(frozen=True)
class Audit:
    """What an audit looked at and found: due rows compared by table, leaks, tables that stand otherwise."""

    cutoffs: tuple[Cutoff, ...]
    compared: Mapping[str, int]
    leaks: tuple[Leak, ...] = ()
    otherwise: tuple[str, ...] = ()

    def of(self, table: str) -> "Audit":
        """The part about one relation."""
        return Audit(
            self.cutoffs,
            {table: self.compared.get(table, 0)},
            tuple(leak for leak in self.leaks if leak.table == table),
            tuple(name for name in self.otherwise if name == table),
        )

    def raise_failed(self) -> None:
        """Raises LeakFound, or else StandsOtherwise, when there is something to raise for."""
        if self.leaks:
            raise LeakFound(self.leaks)
        if self.otherwise:
            raise StandsOtherwise(self.otherwise)


@dataclass(frozen=True)
class Plan:
    """How to audit: `scramble_days` is how far beyond a cutoff rows are scrambled rather than removed.

    Files come `every` so many days.

    `tables` are those of the project, in any order, compiled or not; `compile` compiles them for some days.
    `only` names the relations to audit, all where it is empty.
    """

    snapshot: Snapshot
    sources: Sequence[Source]
    tables: Sequence[Table]
    compile: Compile
    scramble_days: int = 2
    every: int = 1
    only: tuple[str, ...] = ()
    on_cutoff: Callable[[Cutoff], None] = field(default=lambda _: None)

    def window(self, at: datetime, days: int) -> Window:
        """The days to compute again for a cutoff."""
        with self.snapshot.scratch() as scratch:
            return window(
                scratch.connection,
                self.sources,
                at,
                days,
                lookback_days=lookback(self.tables),
                every=self.every,
            )

    def under_audit(self, tables: Sequence[Table]) -> tuple[Audited, ...]:
        """The audited ones of `tables`, or of those that `only` names."""
        return tuple(one for one in audited(tables) if not self.only or one.table.relation in self.only)


def audited(tables: Sequence[Table]) -> tuple[Audited, ...]:
    """Features and spines by prediction_at, labels by label_known_at, other published tables by known_at.

    Raises:
        NotAuditable: a table of features or labels is a view, or has no key.
    """
    found = []
    for table in tables:
        due = next((name for name in (PREDICTION_AT, LABEL_KNOWN_AT) if name in table.types), None)
        if due is None and table.is_published and not table.is_view and KNOWN_AT in table.types:
            due = KNOWN_AT
        if due is None:
            continue
        if table.is_view:
            raise NotAuditable(table.relation, f"it has {due}, but is a view; make it a table")
        if not table.key:
            raise NotAuditable(table.relation, "no test unique_together names the columns of its key")
        found.append(Audited(table, due))
    return tuple(found)


def audit(plan: Plan, sample: Sample) -> Audit:
    """Audit at the sampled cutoffs.

    Raises:
        NotAuditable: as `audited`.
        TableNotRebuilt: a table's SQL fails on rows that raw could well have had.
    """
    under_audit = plan.under_audit(plan.tables)
    due = {one.table.relation: one.due for one in under_audit if one.due == PREDICTION_AT}
    due = due or {one.table.relation: one.due for one in under_audit}
    with plan.snapshot.scratch() as scratch:
        cutoffs = choose(scratch.connection, plan.sources, due, sample)
    return audit_at(plan, cutoffs)


def audit_at(plan: Plan, cutoffs: Sequence[Cutoff]) -> Audit:
    """Audit at these cutoffs."""
    from ml.proofs.tracing import trace

    compared: dict[str, int] = {}
    leaks: list[Leak] = []
    otherwise: set[str] = set()
    for cutoff in cutoffs:
        days = plan.window(cutoff.at, plan.scramble_days)
        tables = tuple(plan.compile(days.first_day, days.last_day))
        with plan.snapshot.scratch() as scratch:
            at_cutoff = _AtCutoff(plan, scratch, cutoff, days, tables)
            differences = at_cutoff.differences()
            otherwise |= at_cutoff.otherwise
            for relation, n in at_cutoff.compared.items():
                compared[relation] = compared.get(relation, 0) + n
        leaks += trace(plan, differences)
        plan.on_cutoff(cutoff)
    return Audit(tuple(cutoffs), compared, tuple(leaks), tuple(sorted(otherwise)))


def altered(tables: Sequence[Table], worlds: Worlds) -> tuple[Table, ...]:
    """The tables that are made from sources which a world changes."""
    names = [f"raw.{name}" for name in worlds.relations()]
    views = {read for table in tables for read in table.reads if read.rpartition("_")[0] in names}
    return downstream(tables, [*names, *views])


class _AtCutoff:
    """One cutoff in one scratch connection."""

    def __init__(
        self, plan: Plan, scratch: Scratch, cutoff: Cutoff, days: Window, tables: Sequence[Table]
    ) -> None:
        self._scratch, self._cutoff, self._days = scratch, cutoff, days
        worlds = Worlds(scratch.connection, plan.sources, cutoff.at, plan.scramble_days)
        self._worlds = worlds
        self._altered = {table.relation for table in altered(tables, worlds)}
        self._audited = [one for one in plan.under_audit(tables) if one.table.relation in self._altered]
        self._tables = upstream(tables, [one.table.relation for one in self._audited])
        self._base: dict[str, str] = {}
        self.compared: dict[str, int] = {}
        self.otherwise: set[str] = set()

    def differences(self) -> list[Difference]:
        """What differs in the world with everything later removed, and in the scrambled one.

        A table that does not stand as its SQL makes it of raw as it is (it is then among `otherwise`) is
        compared with what the SQL makes, so that only a leak is called one.
        """
        found = self._in_worlds(self._audited)
        suspects = {one.audited.table.relation for one in found}
        self._compute_as_raw_is([one for one in self._audited if one.table.relation in suspects])
        found = [one for one in found if one.audited.table.relation not in self.otherwise]
        return found + self._in_worlds([one for one in self._audited if one.table.relation in self.otherwise])

    def _in_worlds(self, audited: Sequence[Audited]) -> list[Difference]:
        found: list[Difference] = []
        tables = upstream(self._tables, [one.table.relation for one in audited])
        read = {relation for table in tables for relation in table.reads}
        where = {
            one.table.relation: one.is_due(self._cutoff.at)
            for one in audited
            if one.due == PREDICTION_AT and one.table.relation not in read
        }
        for how in WORLDS if audited else ():
            self._scratch.clear()
            self._scratch.raw(self._worlds.raw(how))
            self._scratch.rebuild(
                tables, self._days.first_day, keep="before", only=self._altered, where=where
            )
            for one in audited:
                found += self._of(one, how)
        return found

    def _of(self, one: Audited, how: How) -> list[Difference]:
        compared = self._comparison(one)
        row = self._scratch.connection.execute(f"select count(*) from {compared.one}").fetchone()
        self.compared[one.table.relation] = int(row[0]) if row else 0
        return [
            Difference(one, self._cutoff, how, n, compared.cells(column, 1)[0])
            for column, n in compared.counts().items()
        ]

    def _compute_as_raw_is(self, suspects: Sequence[Audited]) -> None:
        """Keep what the SQL makes of raw as it is, where that is not what stands."""
        if not suspects:
            return
        self._scratch.clear()
        self._scratch.raw()
        tables = upstream(self._tables, [one.table.relation for one in suspects])
        self._scratch.rebuild(tables, self._days.first_day, self._days.last_day, only=self._altered)
        for one in suspects:
            if self._comparison(one).is_equal():
                continue
            kept = f'temp.main."{one.table.relation}"'
            due = one.rows("workshop", self._cutoff.at, self._days.first_day)
            self._scratch.connection.execute(f"create or replace temp table {kept} as select * from {due}")
            self._base[one.table.relation] = kept
            self.otherwise.add(one.table.relation)

    def _comparison(self, one: Audited) -> Comparison:
        """Due rows as they stand, beside the recomputed ones.

        An entity that is asked about must be there in both. Of what is known at a time, a world may have rows
        that were revised later and stand with a later known_at: only rows that stand as due count.
        """
        con, at, first_day = self._scratch.connection, self._cutoff.at, self._days.first_day
        standing = self._base.get(one.table.relation) or one.rows("origin", at, first_day)
        if one.due == PREDICTION_AT:
            return Comparison(con, standing, one.rows("workshop", at, first_day), one.table.key)
        computed = one.rows("workshop", at, first_day, is_all=True)
        same = " and ".join(f's."{name}" is not distinct from c."{name}"' for name in one.table.key)
        matched = f"(select c.* from {computed} as c semi join {standing} as s on {same})"
        return Comparison(con, standing, matched, one.table.key)

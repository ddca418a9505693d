"""Raw as it could have been at a cutoff: what was not known by then is missing, or is something else.

Which tables are computed from it, and what a difference means, is `leakage`'s.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import duckdb
import pyarrow as pa

from ml.sources.declaration import Source

How = Literal["removed", "scrambled", "restored"]
RowId = tuple[str, int]  # a source, and the place of one of its late rows

# How far beyond the cutoff a fact lies that is not known in a world: after everything that tables look at.
_NOT_YET = timedelta(days=400)


@dataclass(frozen=True)
class RawRow:
    """A row of a landed file, with the facts of it that became known after the cutoff, and when."""

    source: str
    source_file_id: str
    row_number: int
    known_at: Mapping[str, datetime]

    def __str__(self) -> str:
        when = ", ".join(f"{fact} known {at:%Y-%m-%d %H:%M:%S}" for fact, at in self.known_at.items())
        return f"{self.source} file {self.source_file_id[:12]}… row {self.row_number} ({when} UTC)"


class Worlds:
    """The worlds of one cutoff, over `origin` of a scratch connection.

    A row none of whose facts was known by the cutoff is not there. Of another row the facts not yet known are
    null, and their `known_at` lies beyond the cutoff: null there would be a state that raw never has, and
    one that a comparison with `known_at` cannot see. So a table has to ask whether a fact is known before it
    takes an empty cell for an answer. In a scrambled world the facts that become known within `days` have the
    values, and the time, of another row's same fact; keys stay, so that values and entities come apart. Rows
    of a late correction are in neither: they would rightly revise what a table without versions says today.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        sources: Sequence[Source],
        at: datetime,
        days: int,
        seed: int = 0,
    ) -> None:
        self._con = con
        self._at, self._until = at, at + timedelta(days=days)
        self._seed = seed
        self._sources = tuple(source for source in sources if self._hold(source))

    def relations(self) -> tuple[str, ...]:
        """The sources of which anything was not known at the cutoff."""
        return tuple(source.name for source in self._sources)

    def late_rows(self, last_day: date) -> list[RowId]:
        """Rows of days up to `last_day` of which something became known within the days, by time."""
        listed = " union all ".join(
            f"select '{source.name}' as source, ord_, since_ from {_late(source)} "
            f"where day is null or day <= date '{last_day}'"
            for source in self._sources
        )
        if not listed:
            return []
        return [
            (str(name), int(ord_))
            for name, ord_ in self._con.execute(
                f"select source, ord_ from ({listed}) where since_ <= $until order by since_, source, ord_",
                {"until": self._until},
            ).fetchall()
        ]

    def raw(self, how: How, chosen: Collection[RowId] | None = None) -> dict[str, str]:
        """For `Scratch.raw`: a select by source.

        "removed" is the world with nothing that became known later. In "scrambled" and "restored" the rows
        `chosen` (None: all late rows) are there too, scrambled, or as they really are.
        """
        if chosen is not None:
            self._choose(chosen)
        selects = {source.name: self._select(source, how, chosen is None) for source in self._sources}
        return selects | ({"files": self._files(how, chosen is None)} if selects else {})

    def rows(self, chosen: Iterable[RowId]) -> tuple[RawRow, ...]:
        """Where these rows were landed, and which of their facts were late."""
        self._choose(chosen)
        found = []
        for source in self._sources:
            facts = _known(source)
            names = ", ".join(facts.values())
            for sha, number, *times in self._con.execute(
                f"select source_file_id, row_number, {names} from {_late(source)} where {_is_chosen(source)} "
                "order by ord_"
            ).fetchall():
                late = {fact: at for fact, at in zip(facts, times, strict=True) if at > self._at}
                found.append(RawRow(source.name, sha, number, late))
        return tuple(found)

    def _hold(self, source: Source) -> bool:
        """Set the late rows aside, as they are, censored and scrambled; False when there are none."""
        columns = ", ".join(f'"{name}"' for name in source.raw_columns())
        bound = {"at": self._at, "until": self._until}
        any_late = self._con.execute(
            f'select count(*) from origin.raw."{source.name}" where {last_known(source)} > $at',
            {"at": self._at},
        ).fetchone()
        if not any_late or not any_late[0]:
            return False
        since = ", ".join(f"case when {known} > $at then {known} end" for known in _known(source).values())
        self._con.execute(
            f"create or replace temp table {_late(source)} as "
            f"select row_number() over (order by source_file_id, row_number, loaded_at) as ord_, "
            f"least({since}) as since_, {first_known(source)} <= $at as is_partial_, {columns} "
            f'from origin.raw."{source.name}" '
            f"where {last_known(source)} > $at and {first_known(source)} <= $until",
            bound,
        )
        self._con.execute(
            f"create or replace temp table {_late(source, 'censored')} as "
            f"select ord_, {_censored(source)} from {_late(source)} where is_partial_",
            self._bound(),
        )
        self._con.execute(
            f"create or replace temp table {_late(source, 'scrambled')} as {self._scrambled(source)}",
            self._bound() | {"until": self._until},
        )
        return True

    def _bound(self) -> dict[str, Any]:
        return {"at": self._at, "later": self._at + _NOT_YET}

    def _select(self, source: Source, how: How, is_all: bool) -> str:
        columns = ", ".join(f'"{name}"' for name in source.raw_columns())
        raw = f'origin.raw."{source.name}"'
        known = f"select {columns} from {raw} where {last_known(source)} <= timestamp '{self._at}'"
        censored = f"select {columns} from {_late(source, 'censored')}"
        if how == "removed":
            return f"{known} union all {censored}"
        added = f"select {columns} from {_late(source, 'scrambled' if how == 'scrambled' else None)}"
        if is_all:
            return f"{known} union all {added}"
        chosen = _is_chosen(source)
        return f"{known} union all {censored} where not ({chosen}) union all {added} where {chosen}"

    def _files(self, how: How, is_all: bool) -> str:
        """The files that a row is there of: those of which nothing was known yet had not landed.

        A corrected file has `n_rows`, which tells that rows are missing, while not all of it was known.
        """
        until = self._at if how == "removed" or not is_all else self._until
        landed = [
            f"select '{source.name}' as source, loaded_at from origin.raw.\"{source.name}\" "
            f"group by loaded_at having min({first_known(source)}) <= timestamp '{until}'"
            for source in self._sources
        ]
        parted = [
            f"select '{source.name}' as source, loaded_at from origin.raw.\"{source.name}\" "
            f"group by loaded_at having max(corrected_at) > timestamp '{self._at}'"
            for source in self._sources
        ]
        if not is_all:
            landed += [
                f"select '{source.name}', loaded_at from {_late(source)} where {_is_chosen(source)}"
                for source in self._sources
            ]
        names = ", ".join(f"'{source.name}'" for source in self._sources)
        is_parted = f"(source, loaded_at) in ({' union all '.join(parted)})"
        return (
            f"select * replace (if({is_parted}, n_rows, 0) as n_rows) from origin.raw.files "
            f"where source not in ({names}) "
            f"or (source, loaded_at) in ({' union all '.join(landed)}) or n_rows = 0 and "
            f"(loaded_at <= timestamp '{self._at}' or (source, loaded_at) in "
            "(select (source, min(loaded_at)) from origin.raw.files group by source, day))"
        )

    def _choose(self, rows: Iterable[RowId]) -> None:
        listed = list(rows)
        table = pa.table(
            {
                "source": pa.array([source for source, _ in listed], pa.string()),
                "ord_": pa.array([place for _, place in listed], pa.int64()),
            }
        )
        self._con.register("chosen_", table)
        self._con.execute("create or replace temp table chosen as select * from chosen_")
        self._con.unregister("chosen_")

    def _scrambled(self, source: Source) -> str:
        own, joins = _known(source, "own."), ""
        late = f"(select * from {_late(source)} where coalesce(corrected_at <= $at, true))"
        for fact, known in _known(source).items():
            order = f"order by hash(source_file_id, row_number, '{fact}', {self._seed}), ord_"
            in_turn = (
                f"select *, row_number() over ({order}) as nth_, count(*) over () as n_ "
                f"from {late} where {known} > $at and {known} <= $until"
            )
            joins += (
                f" left join (select a.ord_ as for_, b.* from ({in_turn}) as a join ({in_turn}) as b "
                f"on b.nth_ = a.nth_ % a.n_ + 1) as {_donor(fact)} on {_donor(fact)}.for_ = own.ord_"
            )
        chosen = []
        for name, fact in _told(source).items():
            given = "own" if name in source.key else _donor(fact)
            chosen.append(
                f'case when {own[fact]} <= $at then own."{name}" '
                f'when {own[fact]} <= $until then {given}."{name}" end as "{name}"'
            )
        times = {
            name: f"case when {own[fact]} <= $at then own.{name} "
            f"when {own[fact]} <= $until then {_known(source, _donor(fact) + '.')[fact]} else $later end"
            for fact, name in _facts(source).items()
        }
        if source.known_columns:
            chosen += [f"{time} as {name}" for name, time in times.items()]
        chosen.append(f"greatest({', '.join(times.values())}) as known_at")
        chosen.append(f"{_event_at(source, 'until', 'own.')} as event_at")
        chosen += [f"own.{name}" for name in ("ord_", *_kept(source))]
        return f"select {', '.join(chosen)} from {late} as own{joins}"


def _censored(source: Source) -> str:
    known = _known(source)
    chosen = [
        f'case when {known[fact]} <= $at then "{name}" end as "{name}"'
        for name, fact in _told(source).items()
    ]
    times = zip(known.values(), source.known_columns, strict=False)
    chosen += [f"case when {at} <= $at then {name} else $later end as {name}" for at, name in times]
    chosen += ["$later as known_at", f"{_event_at(source, 'at')} as event_at"]
    return ", ".join([*chosen, *_kept(source)])


def _event_at(source: Source, bound: str, prefix: str = "") -> str:
    """When it happened: unknown as long as any fact is that the declaration makes it from."""
    known, told = _known(source, prefix), _told(source)
    needed = sorted({known[told[name]] for name in _columns_in(source, source.event_at) if name in told})
    is_known = " and ".join(f"{name} <= ${bound}" for name in needed) or "true"
    return f"case when {is_known} then {prefix}event_at else $later end"


def _columns_in(source: Source, expression: str) -> set[str]:
    """The declared columns that an expression is made from, through derived values and lookups."""
    words = source.names_in(expression)
    looked_up = {lookup.column for lookup in source.lookups if lookup.name in words}
    return {column.name for column in source.columns if column.name in words} | looked_up


def _told(source: Source) -> dict[str, str]:
    """The fact that each column tells of; those that tell of a correction are there when the row is."""
    names = (column.name for column in source.columns if column.name not in source.corrections.columns)
    return {name: source.fact_of(name).name for name in names}


def _facts(source: Source) -> dict[str, str]:
    """The column of raw that says when each fact is known."""
    return dict(zip((fact.name for fact in source.facts), source.known_columns or ("known_at",), strict=True))


def _known(source: Source, prefix: str = "") -> dict[str, str]:
    """SQL by fact: when it was known, which for a correction is not before the correction was."""
    return {fact: f"greatest({prefix}{name}, {prefix}corrected_at)" for fact, name in _facts(source).items()}


def first_known(source: Source) -> str:
    """SQL: when the first fact of a row was known."""
    return f"least({', '.join(_known(source).values())})"


def last_known(source: Source) -> str:
    """SQL: when all facts of a row were known."""
    return f"greatest({', '.join(_known(source).values())})"


def _kept(source: Source) -> list[str]:
    """The columns of raw that say where a row came from, not what it says."""
    return [*source.corrections.columns, "source_file_id", "row_number", "day", "loaded_at", "corrected_at"]


def _late(source: Source, kind: str | None = None) -> str:
    return f'temp.main."late_{source.name}{"_" + kind if kind else ""}"'


def _donor(fact: str) -> str:
    return f'"from_{fact}"'


def _is_chosen(source: Source) -> str:
    return f"ord_ in (select ord_ from temp.main.chosen where source = '{source.name}')"

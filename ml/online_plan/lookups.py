"""A point-in-time lookup read from SQL's syntax tree: which table, by what, and of what is known the newest.

Two shapes are read: the one that macro as_of writes, and an ASOF join of an online table. How a lookup is
computed is the plan's matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from ml.online_plan.source import Uncompiled

SCHEMA = "online"
_MIRRORED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.GTE: exp.LTE,
    exp.GT: exp.LT,
    exp.LTE: exp.GTE,
    exp.LT: exp.GT,
}
_EXPECTED = "a step may join one lookup: macro as_of, or a left ASOF join of an online table"


@dataclass(frozen=True)
class Lookup:
    """Of the rows of `table` with `keys`, the one with the greatest `order` not after `until`.

    `keys` are pairs of a question (over the step `asked_in`) and a column of the table. Of `until` itself
    `is_included` says whether it counts; rows before `since` (None: none), or for which one of `holds` is not
    true, don't. `columns` are what is taken of it, by their names in `alias`; conditions name the
    table's columns with table `answer`, and questions' with none.
    """

    table: str
    alias: str
    asked_in: str
    keys: tuple[tuple[exp.Expr, str], ...]
    order: str
    until: exp.Expr
    is_included: bool
    since: exp.Expr | None
    holds: tuple[exp.Expr, ...]
    columns: Mapping[str, str]

    @property
    def questions(self) -> Iterator[exp.Expr]:
        """Every expression over the step asked in."""
        yield from (question for question, _ in self.keys)
        yield self.until
        yield from (self.since,) if self.since is not None else ()
        yield from self.holds

    @property
    def read(self) -> tuple[str, ...]:
        """The table's columns that are read, each once."""
        held = [
            one.name
            for condition in self.holds
            for one in condition.find_all(exp.Column)
            if one.table == ANSWER
        ]
        taken = [*(column for _, column in self.keys), self.order, *self.columns.values(), *held]
        return tuple(dict.fromkeys(taken))


ANSWER = "answer"


def read_join(join: exp.Join, previous: str) -> Lookup:
    """The lookup that a step's join is; raises Uncompiled."""
    if isinstance(join.this, exp.Subquery) and str(join.side).upper() == "LEFT" and not join.method:
        return _as_of(join, join.this)
    is_online = isinstance(join.this, exp.Table) and join.this.db == SCHEMA
    if is_online and join.method == "ASOF" and str(join.side).upper() == "LEFT":
        return _asof(join, join.this, previous)
    raise Uncompiled(join, _EXPECTED)


def _asof(join: exp.Join, table: exp.Table, previous: str) -> Lookup:
    alias = table.alias_or_name
    bounds = _Bounds(join, None)
    for one in _conjuncts(join.args.get("on")):
        bounds.take(_apart(one, alias))
    return bounds.lookup(table.name, alias, previous, {})


def _as_of(join: exp.Join, subquery: exp.Subquery) -> Lookup:
    query = subquery.this
    steps = {cte.alias: cte.this for cte in query.ctes} if isinstance(query, exp.Select) else {}
    newest = steps.get(_from(query)) if steps else None
    inner = newest.args.get("joins") if isinstance(newest, exp.Select) else None
    if not isinstance(newest, exp.Select) or not inner or len(inner) != 1 or inner[0].side or inner[0].method:
        raise Uncompiled(join, _EXPECTED)
    questions, answers = steps.get(_from(newest)), steps.get(inner[0].this.alias_or_name)
    if not isinstance(questions, exp.Select) or not isinstance(answers, exp.Select):
        raise Uncompiled(join, _EXPECTED)
    asked = {one.alias_or_name: one.unalias() for one in questions.selects}
    columns = _columns(answers)
    _check_asked_again(join, subquery.alias, query, asked)
    bounds = _Bounds(join, columns[_order(newest, inner[0].this.alias_or_name)])
    for one in _conjuncts(inner[0].args.get("on")):
        bounds.take(_over(one, asked, columns))
    (source,) = answers.find_all(exp.Table)
    given = {one.alias_or_name for one in query.selects}
    taken = {name: column for name, column in columns.items() if name in given}
    return bounds.lookup(source.name, subquery.alias, _from(questions), taken)


class _Bounds:
    """Conditions sorted by what they do; without an order told, the first upper bound's column is it."""

    def __init__(self, join: exp.Join, order: str | None) -> None:
        self._join, self._order = join, order
        self._keys: list[tuple[exp.Expr, str]] = []
        self._until: exp.Expr | None = None
        self._since: exp.Expr | None = None
        self._is_included = True
        self._holds: list[exp.Expr] = []

    def take(self, one: exp.Expr) -> None:
        column, question = _sides(one)
        if column is None or question is None:
            self._holds.append(one)
        elif isinstance(one, exp.EQ):
            self._keys.append((question, column.name))
        elif self._until is None and self._is_upper(one, column):
            self._order, self._until = column.name, question
            self._is_included = _bound(one, column) is exp.LTE
        elif self._since is None and column.name == self._order and _bound(one, column) is exp.GTE:
            self._since = question
        else:
            self._holds.append(one)

    def lookup(self, table: str, alias: str, asked_in: str, columns: Mapping[str, str]) -> Lookup:
        if self._until is None or self._order is None:
            reason = "a lookup needs a bound: the newest row not after the time asked about"
            raise Uncompiled(self._join, reason)
        return Lookup(
            table=table,
            alias=alias,
            asked_in=asked_in,
            keys=tuple(self._keys),
            order=self._order,
            until=self._until,
            is_included=self._is_included,
            since=self._since,
            holds=tuple(self._holds),
            columns=columns,
        )

    def _is_upper(self, one: exp.Expr, column: exp.Column) -> bool:
        return self._order in (None, column.name) and _bound(one, column) in (exp.LTE, exp.LT)


def _sides(condition: exp.Expr) -> tuple[exp.Column | None, exp.Expr | None]:
    """The table's column and what it is compared with, where a condition is such a comparison."""
    if not isinstance(condition, exp.EQ | exp.GTE | exp.GT | exp.LTE | exp.LT):
        return None, None
    for one, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
        is_column = isinstance(one, exp.Column) and one.table == ANSWER
        if is_column and not any(column.table == ANSWER for column in other.find_all(exp.Column)):
            return one, other
    return None, None


def _bound(condition: exp.Expr, column: exp.Column) -> type[exp.Expr]:
    kind = type(condition)
    return kind if condition.this is column else _MIRRORED[kind]


def _columns(answers: exp.Select) -> dict[str, str]:
    """Columns of the step that reads the table, each plain, by their new names."""
    tables = list(answers.find_all(exp.Table))
    if len(tables) != 1 or tables[0].db != SCHEMA or answers.args.get("where") or answers.args.get("joins"):
        raise Uncompiled(answers, "what is looked up must be one online table, whole")
    for one in answers.selects:
        if not isinstance(one.unalias(), exp.Column):
            raise Uncompiled(one, "columns of an online table are taken as they are; compute them upstream")
    return {one.alias_or_name: one.unalias().name for one in answers.selects}


def _order(newest: exp.Select, answers: str) -> str:
    """The column whose greatest value decides, from `max_by(answers, column)`."""
    chosen = [one for one in newest.find_all(exp.ArgMax) if one.this.name == answers]
    if len(chosen) != 1 or not isinstance(chosen[0].expression, exp.Column):
        raise Uncompiled(newest, _EXPECTED)
    return str(chosen[0].expression.name)


def _check_asked_again(join: exp.Join, alias: str, query: exp.Select, asked: Mapping[str, exp.Expr]) -> None:
    """The answer must be joined back by all that was asked, and by that alone."""
    matched = {}
    for one in _conjuncts(join.args.get("on")):
        sides = [one.this, one.expression] if isinstance(one, exp.EQ) else []
        back = [side for side in sides if isinstance(side, exp.Column) and side.table == alias]
        if len(back) != 1:
            raise Uncompiled(one, _EXPECTED)
        matched[back[0].name] = next(side for side in sides if side is not back[0])
    if matched != dict(asked) or not set(asked) <= {one.alias_or_name for one in query.selects}:
        raise Uncompiled(join, "what is asked in a lookup must be what its answer is joined by")


def _over(condition: exp.Expr, asked: Mapping[str, exp.Expr], columns: Mapping[str, str]) -> exp.Expr:
    """A condition with each name put back to what it stands for."""

    def put_back(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            if node.name in asked:
                return exp.paren(asked[node.name].copy())
            return exp.column(columns[node.name], ANSWER) if node.name in columns else node
        return node

    return condition.transform(put_back)


def _apart(condition: exp.Expr, alias: str) -> exp.Expr:
    """A condition of an ASOF join with the joined table's columns marked."""

    def mark(node: exp.Expr) -> exp.Expr:
        return exp.column(node.name, ANSWER) if isinstance(node, exp.Column) and node.table == alias else node

    return condition.transform(mark)


def _conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    if isinstance(condition, exp.Paren):
        yield from _conjuncts(condition.this)
    elif isinstance(condition, exp.And):
        yield from _conjuncts(condition.this)
        yield from _conjuncts(condition.expression)
    elif condition is not None:
        yield condition


def _from(query: exp.Expr) -> str:
    source = query.args.get("from_")
    return str(source.this.name) if source is not None and isinstance(source.this, exp.Table) else ""

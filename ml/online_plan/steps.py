"""Feature SQL for serving, read as a chain of steps from relation `request` to the features.

Each step carries every row on, adds columns, and may look one thing up. Expressions are not looked into.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from ml.online_plan.lookups import ANSWER, Lookup, read_join
from ml.online_plan.source import Uncompiled

DIALECT = "duckdb"
REQUEST = "request"
_REFUSED = {
    "where": "a condition drops rows; every row asked for must be answered",
    "group": "grouping needs other rows than the one asked for",
    "having": "grouping needs other rows than the one asked for",
    "qualify": "a window needs other rows than the one asked for",
    "distinct": "DISTINCT drops rows; every row asked for must be answered",
    "limit": "LIMIT drops rows; every row asked for must be answered",
    "offset": "OFFSET drops rows; every row asked for must be answered",
}


@dataclass(frozen=True)
class Step:
    """Columns over those of the step before (`previous`); `is_all` carries all of these on too."""

    name: str
    previous: str
    is_all: bool
    columns: Mapping[str, exp.Expr]
    lookup: Lookup | None


def read_steps(sql: str) -> tuple[Step, ...]:
    """The steps in their order, the features' last; raises Uncompiled or SqlglotError."""
    query = sqlglot.parse_one(sql, dialect=DIALECT)
    if not isinstance(query, exp.Select):
        raise Uncompiled(query, "it must be one select over its steps")
    named = {cte.alias: cte.this for cte in query.ctes}
    chain: list[Step] = []
    step = _step("", query)
    while True:
        chain.append(step)
        if step.previous == REQUEST:
            return tuple(reversed(chain))
        if step.previous not in named:
            raise Uncompiled(query, f'"{step.previous}" is no step before it and not the request')
        step = _step(step.previous, named.pop(step.previous))


def _step(name: str, query: exp.Expr) -> Step:
    if not isinstance(query, exp.Select):
        raise Uncompiled(query, "a step must be one select: a union may double rows")
    for clause, reason in _REFUSED.items():
        if query.args.get(clause):
            raise Uncompiled(query.args[clause], reason)
    source, joins = query.args.get("from_"), query.args.get("joins") or []
    if source is None or not isinstance(source.this, exp.Table) or source.this.db:
        raise Uncompiled(query, "a step must read the step before it, or the request")
    if len(joins) > 1:
        raise Uncompiled(joins[1], "a step may join one lookup; make a step of each")
    previous, alias = source.this.name, source.this.alias_or_name
    lookup = read_join(joins[0], previous) if joins else None
    columns = dict(_columns(query, alias, lookup))
    if lookup is not None:
        lookup = _taking(lookup, columns)
    is_all = any(_is_star(one, alias, lookup) for one in query.selects)
    return Step(name, previous, is_all, columns, lookup)


def _columns(query: exp.Select, previous: str, lookup: Lookup | None) -> Iterator[tuple[str, exp.Expr]]:
    answered = lookup.alias if lookup else None
    for one in query.selects:
        if _is_star(one, previous, lookup):
            if one.args.get("except_") or one.args.get("replace") or one.args.get("rename"):
                raise Uncompiled(one, "columns left out or replaced in a star are not read; name the columns")
        elif isinstance(one, exp.Star) or (isinstance(one, exp.Column) and isinstance(one.this, exp.Star)):
            raise Uncompiled(one, "a star is read of the step before; name the columns of a lookup")
        else:
            yield one.alias_or_name, _marked(one.unalias(), answered, lookup)


def _marked(expression: exp.Expr, answered: str | None, lookup: Lookup | None) -> exp.Expr:
    """The expression with the columns of the lookup's answer marked as such."""
    taken = lookup.columns if lookup else {}

    def mark(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and (
            node.table == answered or (not node.table and node.name in taken)
        ):
            return exp.column(taken.get(node.name, node.name), ANSWER)
        return node

    return expression.transform(mark) if lookup else expression


def _taking(lookup: Lookup, columns: Mapping[str, exp.Expr]) -> Lookup:
    """The lookup with those columns of the table that the step's own name."""
    named = (node for one in columns.values() for node in one.find_all(exp.Column) if node.table == ANSWER)
    taken = {node.name: node.name for node in named}
    return Lookup(**{**lookup.__dict__, "columns": taken})


def _is_star(one: exp.Expr, alias: str, lookup: Lookup | None) -> bool:
    if isinstance(one, exp.Column) and isinstance(one.this, exp.Star):
        return one.table == alias
    return isinstance(one, exp.Star) and lookup is None

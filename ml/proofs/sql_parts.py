"""Reading a qualified query's syntax tree: its conditions, groups, aggregates and windows.

No judgement: what follows from them is said elsewhere.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache

from sqlglot import exp

from ml.proofs.sql_functions import AGGREGATES, RANKS

DIALECT = "duckdb"
_WRAPPERS = (exp.Filter, exp.IgnoreNulls, exp.RespectNulls, exp.WithinGroup)
_GROUPING_SETS = ("cube", "rollup", "grouping_sets")
Part = Callable[[exp.Window], list[exp.Expr]]


def text_of(expression: exp.Expr) -> str:
    """What makes two expressions one: their SQL, whatever their layout."""
    return str(expression.sql(DIALECT))


@cache
def column_text(alias: str, name: str) -> str:
    """The text of a source's column."""
    return text_of(exp.column(name, alias))


def outputs(query: exp.Expr) -> dict[str, exp.Expr]:
    """What a query selects, by the names it gives its columns; of a set operation, its first branch."""
    selects = query.selects if isinstance(query, exp.Query) else []
    return {str(one.alias_or_name): one.unalias() for one in selects}


def called(node: exp.Expr) -> str:
    """The DuckDB name of the function that a node calls, in lower case; empty when it calls none."""
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    if not isinstance(node, exp.Func) or isinstance(node, exp.Connector | exp.Cast):
        return ""
    found = re.match(r"(\w+)(\(|$)", text_of(node))
    return found[1].lower() if found else ""


def conjuncts(clause: exp.Expr | None) -> Iterator[exp.Expr]:
    """The conditions of a clause that all have to hold."""
    if clause is not None:
        condition = clause.this if isinstance(clause, exp.Where | exp.Qualify | exp.Having) else clause
        for one in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            yield from conjuncts(one.this) if isinstance(one, exp.Paren) else [one]


def column_pairs(on: exp.Expr | None) -> list[tuple[str, str]]:
    """Columns that a condition holds to be equal."""
    pairs = [(one.this, one.expression) for one in conjuncts(on) if isinstance(one, exp.EQ)]
    are_columns = [pair for pair in pairs if all(isinstance(one, exp.Column) for one in pair)]
    return [(text_of(one), text_of(other)) for one, other in are_columns]


def matched_columns(join: exp.Join) -> set[str]:
    """Columns of the joined source that a condition ties to something else; of an ASOF join the bound too."""
    alias = join.this.alias_or_name
    ties = (exp.EQ, exp.GTE, exp.GT, exp.LTE, exp.LT) if join.method == "ASOF" else (exp.EQ,)
    tied = [(one.this, one.expression) for one in conjuncts(join.args.get("on")) if isinstance(one, ties)]
    both_ways = [*tied, *((other, one) for one, other in tied)]
    return {
        text_of(one)
        for one, other in both_ways
        if isinstance(one, exp.Column) and one.table == alias and not _mentions(other, alias)
    }


def aggregates(expression: exp.Expr) -> Iterator[exp.Expr]:
    """Aggregate calls over the rows of a select itself: neither those of a window nor of a subquery."""
    for node in own_nodes(expression):
        is_one = isinstance(node, exp.AggFunc) or called(node) in AGGREGATES
        if is_one and not isinstance(node, exp.IgnoreNulls | exp.RespectNulls) and window_of(node) is None:
            yield node


def own_nodes(expression: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of an expression, without those of queries in it."""
    yield from (
        node
        for node in expression.walk(prune=lambda one: isinstance(one, exp.Query))
        if not isinstance(node, exp.Query)
    )


def nodes_of_select(select: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of a select itself: neither its sources nor queries within its expressions."""
    for name, clause in select.args.items():
        if name not in {"with_", "from_", "joins", "laterals"}:
            for one in clause if isinstance(clause, list) else [clause]:
                if isinstance(one, exp.Expr):
                    yield from own_nodes(one)


def arguments_of(node: exp.Expr) -> Iterator[exp.Expr]:
    """What a call is given, in order, without DISTINCT and ORDER BY."""
    for value in node.expressions if isinstance(node, exp.Anonymous) else node.args.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, exp.Expr):
                yield from _bare(one)


def argument_of(node: exp.Expr) -> exp.Expr | None:
    """The first of them."""
    return next(arguments_of(node), None)


def elements_of(expression: exp.Expr) -> list[exp.Expr]:
    """The parts of a row or struct; anything else is its own only part."""
    if isinstance(expression, exp.Paren):
        return elements_of(expression.this)
    if isinstance(expression, exp.Tuple):
        return list(expression.expressions)
    if isinstance(expression, exp.Struct):
        return [one.expression if isinstance(one, exp.PropertyEQ) else one for one in expression.expressions]
    if called(expression) == "row":
        return list(arguments_of(expression))
    return [expression]


def unwrapped(node: exp.Expr) -> exp.Expr:
    """A call without the FILTER or IGNORE NULLS around it."""
    while isinstance(node, _WRAPPERS):
        node = node.this
    return node


def counts_rows(frame: exp.WindowSpec | None) -> bool:
    """Whether a frame's bounds are a number of rows, which says nothing of rows that tie."""
    if frame is None or str(frame.args.get("kind", "")).upper() != "ROWS":
        return False
    bounds = (str(frame.args.get(side, "")).upper() for side in ("start", "end"))
    return set(bounds) != {"UNBOUNDED"}


def line_of(node: exp.Expr, sql: str) -> int | None:
    """The line of the SQL text where a node starts; None where nothing tells."""
    lines = [one.meta["line"] for one in node.find_all(exp.Identifier) if "line" in one.meta]
    if lines:
        return int(min(lines))
    found = re.search(rf"\b{re.escape(called(node))}\b", sql, re.IGNORECASE) if called(node) else None
    return sql.count("\n", 0, found.start()) + 1 if found else None


def _bare(one: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(one, exp.Order):
        if isinstance(one.this, exp.Expr):
            yield from _bare(one.this)
    elif isinstance(one, exp.Distinct):
        yield from one.expressions
    else:
        yield one


def window_of(node: exp.Expr) -> exp.Window | None:
    """The window that a call is made over."""
    parent = node.parent
    while isinstance(parent, _WRAPPERS):
        node, parent = parent, parent.parent
    return parent if isinstance(parent, exp.Window) and parent.this is node else None


def group_texts(select: exp.Expr) -> list[str] | None:
    """What a select groups by; None when it does not, [] when all rows are one group."""
    group = select.args.get("group")
    if group is None:
        is_one = any(next(aggregates(one), None) is not None for one in outputs(select).values())
        return [] if is_one else None
    if group.args.get("all"):
        return [text_of(one) for one in outputs(select).values() if next(aggregates(one), None) is None]
    return [text_of(one) for one in group.expressions]


def has_grouping_sets(select: exp.Expr) -> bool:
    """Whether rows are grouped in more than one way."""
    group = select.args.get("group")
    return group is not None and any(group.args.get(name) for name in _GROUPING_SETS)


def partition_of(window: exp.Window) -> list[exp.Expr]:
    """What a window is partitioned by, also where it names a window of the select."""
    return _inherited(window, lambda one: list(one.args.get("partition_by") or ()))


def order_of(window: exp.Window) -> list[exp.Expr]:
    """What a window is ordered by, also where it names a window of the select."""
    return _inherited(window, lambda one: one.args["order"].expressions if one.args.get("order") else [])


def frame_of(window: exp.Window) -> exp.WindowSpec | None:
    """The frame that a window says, if it says one."""
    specs = _inherited(window, lambda one: [one.args["spec"]] if one.args.get("spec") else [])
    return next((one for one in specs if isinstance(one, exp.WindowSpec)), None)


def is_ranking(window: exp.Window) -> bool:
    """Whether rows that tie get the same value by definition."""
    return called(window.this) in RANKS


def _inherited(window: exp.Window, part: Part) -> list[exp.Expr]:
    own = part(window)
    name, select = window.args.get("alias"), window.find_ancestor(exp.Select)
    if own or name is None or select is None:
        return own
    named = (
        one for one in select.args.get("windows") or () if one.this.name == name.name and one is not window
    )
    base = next(named, None)
    return _inherited(base, part) if base is not None else []


def _mentions(expression: exp.Expr, alias: str) -> bool:
    return any(column.table == alias for column in expression.find_all(exp.Column))

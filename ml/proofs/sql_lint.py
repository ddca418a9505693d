"""A linter for what makes a table's SQL give other values from one run to the next.

It reads compiled SQL alone and runs nothing over rows. What it cannot read or prove is a finding too. What a
finding says is in `sql_rules`; whether tables really repeat is measured by `determinism`.
"""

from collections.abc import Iterable, Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from ml.proofs import sql_functions as functions
from ml.proofs import sql_parts as parts
from ml.proofs.column_types import UNKNOWN, ColumnTypes
from ml.proofs.relations import CATALOG, Relation
from ml.proofs.sql_parts import DIALECT, text_of
from ml.proofs.sql_rules import Finding
from ml.proofs.unique_rows import Rows, UniqueRows

_FLOATS = {"FLOAT", "DOUBLE"}
_Found = Iterator[tuple[str, exp.Expr]]


def lint(table: str, sql: str, relations: Iterable[Relation]) -> tuple[Finding, ...]:
    """Everything in a table's SQL that may make it differ from run to run, in order of lines.

    `relations` are the tables that it may read. No findings mean that every value follows from the rows read.
    """
    known = {(relation.schema, relation.name): relation for relation in relations}
    try:
        query = _qualified(sql, known)
        found = list(_Linter(known).findings(query))
    except SqlglotError as error:
        return (Finding(table, "unreadable", str(error).splitlines()[0], None),)
    told = {_finding(table, sql, rule, node) for rule, node in found}
    return tuple(sorted(told, key=lambda one: (one.line or 0, one.rule, one.fragment)))


def _qualified(sql: str, known: dict[tuple[str, str], Relation]) -> exp.Expr:
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for (folder, name), relation in known.items():
        if relation.types:
            schema.setdefault(folder, {})[name] = dict.fromkeys(relation.types, "INT")  # names only
    parsed = sqlglot.parse_one(sql, dialect=DIALECT)
    return qualify(parsed, schema={CATALOG: schema}, dialect=DIALECT, quote_identifiers=False)


class _Linter:
    """Applies every rule to every select of one query."""

    def __init__(self, known: dict[tuple[str, str], Relation]) -> None:
        self._types = ColumnTypes(known)
        self._unique = UniqueRows(known)

    def findings(self, query: exp.Expr) -> _Found:
        """Rule and culprit."""
        for node in query.walk():
            yield from _of_calls(node)
            yield from _of_sources(node)
        for scope in traverse_scope(query):
            yield from self._of_limit(scope)
            if isinstance(scope.expression, exp.Select):
                yield from self._of_select(scope)

    def _of_select(self, scope: Scope) -> _Found:
        select, rows, groups = scope.expression, self._unique.read(scope), parts.group_texts(scope.expression)
        grouped = self._unique.grouped(scope)
        for node in parts.nodes_of_select(select):
            window = parts.window_of(node)
            if isinstance(node, exp.Window):
                yield from self._of_window(node, grouped)
            elif window is None and parts.called(node):
                yield from self._of_aggregate(node, rows, groups or [], scope)
            elif window is not None:
                yield from self._of_windowed(node, scope)
        for join in select.args.get("joins") or ():
            if join.method == "ASOF":
                right = self._unique.joined(join, scope)
                if not right.are_told_apart_by(parts.matched_columns(join)):
                    yield "asof_tie", join
        distinct = select.args.get("distinct")
        if distinct and distinct.args.get("on"):
            keys = [text_of(one) for one in distinct.args["on"].expressions]
            if not grouped.are_told_apart_by(keys + _order_texts(select)):
                yield "distinct_tie", distinct

    def _of_aggregate(self, node: exp.Expr, rows: Rows, groups: list[str], scope: Scope) -> _Found:
        name, order = parts.called(node), node.find(exp.Order)
        given = parts.argument_of(node)
        if name in functions.SUMS:
            type_ = self._types.of(given, scope) if given is not None else UNKNOWN
            by = [text_of(one.this) for one in order.expressions] if order else []
            if type_ == UNKNOWN:
                yield "unknown_type", node
            elif type_ in _FLOATS and not (by and rows.are_told_apart_by(groups + by)):
                yield "float_sum", node
        elif name in functions.FLOAT_STATISTICS:
            by = [text_of(one.this) for one in order.expressions] if order else []
            if not (by and rows.are_told_apart_by(groups + by)):
                yield "float_statistic", node
        elif name in functions.CHOICES or name in functions.EXTREMES:
            yield from _of_choice(name, node, rows, groups)

    def _of_windowed(self, node: exp.Expr, scope: Scope) -> _Found:
        name, given = parts.called(node), parts.argument_of(node)
        if name in functions.SUMS:
            type_ = self._types.of(given, scope) if given is not None else UNKNOWN
            if type_ == UNKNOWN or type_ in _FLOATS:
                yield ("unknown_type" if type_ == UNKNOWN else "float_window"), node.parent or node
        elif name in functions.FLOAT_STATISTICS:
            yield "float_window", node.parent or node

    def _of_window(self, window: exp.Window, rows: Rows) -> _Found:
        if isinstance(window.this, exp.Identifier) or parts.is_ranking(window):
            return
        name = parts.called(parts.unwrapped(window.this))
        frame = parts.frame_of(window)
        is_placed = name in functions.PLACED
        if not is_placed and not parts.counts_rows(frame):
            return
        by = [text_of(one.this) for one in parts.order_of(window)]
        groups = [text_of(one) for one in parts.partition_of(window)]
        if not rows.are_told_apart_by(groups + by):
            yield ("window_tie" if by else "window_unordered"), window

    def _of_limit(self, scope: Scope) -> _Found:
        query = scope.expression
        if not isinstance(query, exp.Query) or not (query.args.get("limit") or query.args.get("offset")):
            return
        if isinstance(query.parent, exp.Exists) or self._is_ordered(scope):
            return
        yield "limit", query.args.get("limit") or query.args["offset"]

    def _is_ordered(self, scope: Scope) -> bool:
        query, by = scope.expression, set(_order_texts(scope.expression))
        given = {name: text_of(one) for name, one in parts.outputs(query).items()}
        named = {name for name, text in given.items() if text in by or name in by}
        if any(key <= named for key in self._unique.of(scope)):
            return True
        if isinstance(query, exp.Select) and not query.args.get("distinct"):
            return self._unique.grouped(scope).are_told_apart_by(by | {given[name] for name in named})
        return False


def _of_calls(node: exp.Expr) -> _Found:
    name = parts.called(node)
    if name in functions.CLOCKS or (name == "age" and len(list(parts.arguments_of(node))) == 1):
        yield "clock", node
    elif name in functions.volatile():
        yield "volatile", node
    elif name in functions.SKETCHES:
        yield "sketch", node
    elif name in functions.unproven_aggregates():
        yield "unproven", node


def _of_sources(node: exp.Expr) -> _Found:
    if isinstance(node, exp.TableSample):
        yield "sample", node
    elif isinstance(node, exp.Join) and node.method == "POSITIONAL":
        yield "positional_join", node


def _of_choice(name: str, node: exp.Expr, rows: Rows, groups: list[str]) -> _Found:
    """A value that one row of a group decides, or the order of its rows."""
    order, given = node.find(exp.Order), list(parts.arguments_of(node))
    by = [part for one in (order.expressions if order else ()) for part in parts.elements_of(one.this)]
    if name in functions.EXTREMES:
        by = parts.elements_of(given[1]) if len(given) > 1 else []
    decided = groups + [text_of(one) for one in by]
    taken = [text_of(part) for one in given[:1] for part in parts.elements_of(one)]
    if rows.are_told_apart_by(decided) or set(taken) <= rows.following(decided):
        return
    yield ("extreme_tie" if name in functions.EXTREMES else "order_tie" if by else "unordered"), node


def _order_texts(query: exp.Expr) -> list[str]:
    order = query.args.get("order")
    return [text_of(one.this) for one in order.expressions] if order else []


def _finding(table: str, sql: str, rule: str, node: exp.Expr) -> Finding:
    fragment = node.sql(DIALECT, normalize_functions="lower").strip()
    return Finding(table, rule, fragment, parts.line_of(node, sql))

"""Comparisons, conditions and choices: three-valued, and a branch not taken is not computed."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from ml.online_plan.kinds import Kind
from ml.online_plan.source import Source, Uncompiled, Value, unknown

if TYPE_CHECKING:
    from ml.online_plan.expressions import Expressions

Writer = Callable[["Expressions", exp.Expr], Value]

_COMPARED: Mapping[type[exp.Expr], str] = {
    exp.EQ: "==",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_OF_FLOATS = {
    "==": "is_equal({0}, {1})",
    "!=": "not is_equal({0}, {1})",
    "<": "is_less({0}, {1})",
    "<=": "not is_less({1}, {0})",
    ">": "is_less({1}, {0})",
    ">=": "not is_less({0}, {1})",
}


def _null_safe(to: "Expressions", node: exp.Expr) -> Value:
    left, right = to.write(node.this), to.write(node.expression)
    kind = to.together(node, left, right)
    left, right = to.taken_as(left, kind), to.taken_as(right, kind)
    is_same = f"is_equal({left.code}, {right.code})" if kind == "real" else f"{left.code} == {right.code}"
    nulls = f"{left.code} is None and {right.code} is None"
    either = f"{left.code} is None or {right.code} is None"
    told = f"({nulls}) if {either} else {is_same}"
    told = f"not ({told})" if isinstance(node, exp.NullSafeNEQ) else told
    return Value(to.source.keep(told), "boolean", False)


def _not(to: "Expressions", node: exp.Expr) -> Value:
    return to.source.strict("not {0}", "boolean", to.truth(node.this))


def _and(to: "Expressions", node: exp.Expr) -> Value:
    return _joined(to, node, "False", "True")


def _or(to: "Expressions", node: exp.Expr) -> Value:
    return _joined(to, node, "True", "False")


def _joined(to: "Expressions", node: exp.Expr, decides: str, otherwise: str) -> Value:
    left, right = to.truth(node.this), to.truth(node.expression)
    decided = f"{decides} if {left.code} is {decides} or {right.code} is {decides}"
    nulls = [f"{one.code} is None" for one in (left, right) if one.is_nullable]
    missing = f" else None if {' or '.join(nulls)}" if nulls else ""
    return Value(to.source.keep(f"{decided}{missing} else {otherwise}"), "boolean", bool(nulls))


def _is(to: "Expressions", node: exp.Expr) -> Value:
    given, asked = to.write(node.this), node.expression
    if isinstance(asked, exp.Null):
        return Value(to.source.keep(f"{given.code} is None"), "boolean", False)
    if isinstance(asked, exp.Boolean) and given.kind in ("boolean", "null"):
        return Value(to.source.keep(f"{given.code} is {bool(asked.this)}"), "boolean", False)
    raise Uncompiled(node, unknown(node))


def _between(to: "Expressions", node: exp.Expr) -> Value:
    given, low, high = to.write(node.this), to.write(node.args["low"]), to.write(node.args["high"])
    first, last = comparison(to, node, ">=", given, low), comparison(to, node, "<=", given, high)
    nulls = f"None if {first.code} is None or {last.code} is None"
    decided = f"False if {first.code} is False or {last.code} is False else {nulls} else True"
    return Value(to.source.keep(decided), "boolean")


def _in(to: "Expressions", node: exp.Expr) -> Value:
    listed = node.expressions
    if not listed or node.args.get("query") is not None:
        raise Uncompiled(node, "only a list of values is compiled; what is looked up belongs in as_of")
    given = to.write(node.this)
    each = [comparison(to, node, "==", given, to.write(one)).code for one in listed]
    is_any, is_null = (
        " or ".join(f"{one} is True" for one in each),
        " or ".join(f"{one} is None" for one in each),
    )
    return Value(to.source.keep(f"True if {is_any} else None if {is_null} else False"), "boolean")


def _coalesced(to: "Expressions", node: exp.Expr) -> Value:
    given = [to.write(one) for one in (node.this, *node.expressions)]
    kind = to.together(node, *given)
    given = [to.taken_as(one, kind) for one in given]
    code = given[-1].code
    for one in reversed(given[:-1]):
        code = f"({one.code} if {one.code} is not None else {code})" if one.is_nullable else one.code
    return Value(to.source.keep(code), kind, all(one.is_nullable for one in given))


def _null_if(to: "Expressions", node: exp.Expr) -> Value:
    given = to.write(node.this)
    is_same = comparison(to, node, "==", given, to.write(node.expression))
    return Value(to.source.keep(f"None if {is_same.code} is True else {given.code}"), given.kind)


def _extreme(to: "Expressions", node: exp.Expr) -> Value:
    given = [to.write(one) for one in (node.this, *node.expressions)]
    kind = to.together(node, *given)
    given = [to.taken_as(one, kind) for one in given]
    name = "greatest" if isinstance(node, exp.Greatest) else "least"
    code = f"{name}({', '.join(one.code for one in given)})"
    return Value(to.source.keep(code), kind, all(one.is_nullable for one in given))


def _case(to: "Expressions", node: exp.Expr) -> Value:
    if isinstance(node, exp.If):
        branches, default = [(node.this, node.args["true"])], node.args.get("false")
    else:
        given = node.this
        branches = [(_asked(given, one.this), one.args["true"]) for one in node.args["ifs"]]
        default = node.args.get("default")
    kind = _kind_of(to, [one for _, one in branches] + ([default] if default is not None else []), node)
    name = to.source.name()
    _branch(to, name, kind, branches, default)
    return Value(name, kind)


def _branch(
    to: "Expressions", name: str, kind: Kind, branches: list[tuple[exp.Expr, exp.Expr]], default: Any
) -> None:
    """Nested ifs: each condition is computed only when those before it were not true."""
    if not branches:
        code = "None" if default is None else to.taken_as(to.write(default), kind).code
        to.source.line(f"{name} = {code}")
        return
    (condition, taken), rest = branches[0], branches[1:]
    with to.source.block(f"if {to.truth(condition).code}"):
        to.source.line(f"{name} = {to.taken_as(to.write(taken), kind).code}")
    with to.source.block("else"):
        _branch(to, name, kind, rest, default)


def _kind_of(to: "Expressions", nodes: list[exp.Expr], blamed: exp.Expr) -> Kind:
    """What branches have in common; written elsewhere, only to know their kinds."""
    apart = type(to)(Source(), to.resolve)
    return to.together(blamed, *(apart.write(one) for one in nodes))


def _compared(to: "Expressions", node: exp.Expr, operator: str) -> Value:
    return comparison(to, node, operator, to.write(node.this), to.write(node.expression))


def comparison(to: "Expressions", node: exp.Expr, operator: str, left: Value, right: Value) -> Value:
    kind = to.together(node, left, right)
    left, right = to.taken_as(left, kind), to.taken_as(right, kind)
    template = _OF_FLOATS[operator] if kind == "real" else f"{{0}} {operator} {{1}}"
    return to.source.strict(template, "boolean", left, right)


def _asked(given: exp.Expr | None, one: exp.Expr) -> exp.Expr:
    return one if given is None else exp.EQ(this=given.copy(), expression=one.copy())


WRITERS: Mapping[type[exp.Expr], Writer] = {
    **{kind: lambda to, node: _compared(to, node, _COMPARED[type(node)]) for kind in _COMPARED},
    exp.NullSafeEQ: _null_safe,
    exp.NullSafeNEQ: _null_safe,
    exp.Not: _not,
    exp.And: _and,
    exp.Or: _or,
    exp.Is: _is,
    exp.Between: _between,
    exp.In: _in,
    exp.Coalesce: _coalesced,
    exp.Nullif: _null_if,
    exp.Greatest: _extreme,
    exp.Least: _extreme,
    exp.Case: _case,
    exp.If: _case,
}

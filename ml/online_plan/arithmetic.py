"""Numbers: what is counted with them, and times moved by intervals."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlglot import exp

from ml.online_plan.source import Uncompiled, Value

if TYPE_CHECKING:
    from ml.online_plan.expressions import Expressions

Writer = Callable[["Expressions", exp.Expr], Value]

_OF_ONE_FLOAT: Mapping[type[exp.Expr], str] = {
    exp.Floor: "floored({0})",
    exp.Ceil: "ceiled({0})",
    exp.Sqrt: "square_root({0})",
    exp.Exp: "exp({0})",
    exp.Ln: "log({0})",
}
_NUMBERS = ("integer", "real", "decimal")
_TIMES = ("timestamp", "date")


def _counted(to: "Expressions", node: exp.Expr, operator: str) -> Value:
    left, right = to.write(node.this), to.write(node.expression)
    kinds = (left.kind, right.kind)
    if operator != "*" and left.kind in _TIMES and right.kind == "interval":
        return to.source.strict(f"{{0}} {operator} {{1}}", "timestamp", to.timestamp(left), right)
    if operator == "+" and left.kind == "interval" and right.kind in _TIMES:
        return to.source.strict("{0} + {1}", "timestamp", left, to.timestamp(right))
    if operator != "*" and left.kind == "date" and right.kind == "integer":
        return to.source.strict(f"{{0}} {operator} {{1}}", "date", left, right)
    if operator == "-" and kinds == ("date", "date"):
        return to.source.strict("{0} - {1}", "integer", left, right)
    kind = to.numbers(node, left, right)
    return to.source.strict(
        f"{{0}} {operator} {{1}}", kind, to.taken_as(left, kind), to.taken_as(right, kind)
    )


def _divided(to: "Expressions", node: exp.Expr) -> Value:
    left, right = to.write(node.this), to.write(node.expression)
    to.numbers(node, left, right)
    left, right = (to.taken_as(one, "real") if one.kind == "decimal" else one for one in (left, right))
    return to.source.strict("{0} / {1} if {1} else divided({0}, {1})", "real", left, right)


def _int_divided(to: "Expressions", node: exp.Expr) -> Value:
    return _of_integers(to, node, "int_divided({0}, {1})")


def _remainder(to: "Expressions", node: exp.Expr) -> Value:
    left, right = to.write(node.this), to.write(node.expression)
    if to.numbers(node, left, right) == "real":
        left, right = to.taken_as(left, "real"), to.taken_as(right, "real")
        return to.source.strict("float_remainder({0}, {1})", "real", left, right, may_be_null=True)
    return _of_integers(to, node, "remainder({0}, {1})")


def _of_integers(to: "Expressions", node: exp.Expr, template: str) -> Value:
    left, right = to.write(node.this), to.write(node.expression)
    if (left.kind, right.kind) != ("integer", "integer"):
        raise Uncompiled(node, f"it is compiled for integers, not for {left.kind} and {right.kind}")
    return to.source.strict(template, "integer", left, right, may_be_null=True)


def _negated(to: "Expressions", node: exp.Expr) -> Value:
    given = to.write(node.this)
    if given.kind not in (*_NUMBERS, "interval"):
        raise Uncompiled(node, f"a {given.kind} has no sign")
    return to.source.strict("-({0})", given.kind, given)


def _absolute(to: "Expressions", node: exp.Expr) -> Value:
    given = to.write(node.this)
    if given.kind not in _NUMBERS:
        raise Uncompiled(node, f"a {given.kind} has no sign")
    return to.source.strict("abs({0})", given.kind, given)


def _rounded(to: "Expressions", node: exp.Expr) -> Value:
    given = to.write(node.this)
    if node.args.get("decimals") is not None or given.kind not in ("integer", "real"):
        raise Uncompiled(
            node, "only round(x) of an integer or a DOUBLE is compiled: decimals belong upstream"
        )
    return given if given.kind == "integer" else to.source.strict("rounded({0})", "real", given)


def _of_one_float(to: "Expressions", node: exp.Expr) -> Value:
    return to.source.strict(_OF_ONE_FLOAT[type(node)], "real", to.floating(node.this))


WRITERS: Mapping[type[exp.Expr], Writer] = {
    exp.Add: lambda to, node: _counted(to, node, "+"),
    exp.Sub: lambda to, node: _counted(to, node, "-"),
    exp.Mul: lambda to, node: _counted(to, node, "*"),
    exp.Div: _divided,
    exp.IntDiv: _int_divided,
    exp.Mod: _remainder,
    exp.Neg: _negated,
    exp.Abs: _absolute,
    exp.Round: _rounded,
    **dict.fromkeys(_OF_ONE_FLOAT, _of_one_float),
}

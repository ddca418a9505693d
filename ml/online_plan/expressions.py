"""Scalar SQL expressions as Python source: the subset whose values are DuckDB's to the bit.

Nulls go through as in SQL, a CASE computes only the branch it takes. Joins and steps are the plan's matter.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime

from sqlglot import exp

from ml.online_plan import arithmetic, logic, times
from ml.online_plan.kinds import DAY, Kind, days, microseconds, of_sql, wider
from ml.online_plan.source import Source, Uncompiled, Value, unknown

Resolve = Callable[[exp.Column], Value]
_NUMBERS = ("integer", "real", "decimal")
_TIMES = ("timestamp", "date")
_CASTS: Mapping[tuple[Kind, Kind], str] = {
    ("integer", "real"): "float({0})",
    ("decimal", "real"): "float({0})",
    ("single", "real"): "{0}",
    ("boolean", "integer"): "int({0})",
    ("boolean", "real"): "float({0})",
    ("real", "integer"): "whole({0})",
    ("decimal", "integer"): "whole_of_decimal({0})",
    ("integer", "boolean"): "{0} != 0",
    ("timestamp", "date"): f"{{0}} // {DAY}",
    ("date", "timestamp"): f"{{0}} * {DAY}",
}


class Expressions:
    """Writes expressions into a source; `resolve` gives a column's value."""

    def __init__(self, source: Source, resolve: Resolve) -> None:
        self.source, self.resolve = source, resolve

    def write(self, node: exp.Expr) -> Value:
        """The value of an expression; raises Uncompiled."""
        writer = _WRITERS.get(type(node))
        if writer is None:
            raise Uncompiled(node, unknown(node))
        return writer(self, node)

    def _column(self, node: exp.Expr) -> Value:
        assert isinstance(node, exp.Column)  # noqa: S101  by the table below
        return self.resolve(node)

    def _within(self, node: exp.Expr) -> Value:
        return self.write(node.this)

    def _literal(self, node: exp.Expr) -> Value:
        text = str(node.this)
        if node.args.get("is_string"):
            return Value(repr(text), "text", False)
        if text.isdecimal():
            return Value(text, "integer", False)
        if "e" in text.lower():
            return Value(repr(float(text)), "real", False)
        return Value(f'Decimal("{text}")', "decimal", False)

    def _boolean(self, node: exp.Expr) -> Value:
        return Value(str(bool(node.this)), "boolean", False)

    def _null(self, _: exp.Expr) -> Value:
        return Value("None", "null")

    def _piped(self, node: exp.Expr) -> Value:
        left, right = self.text(node.this), self.text(node.expression)
        return self.source.strict("{0} + {1}", "text", left, right)

    def text(self, node: exp.Expr) -> Value:
        """The value written as text."""
        return self.as_text(node, self.write(node))

    def as_text(self, node: exp.Expr, given: Value) -> Value:
        """A value as text, where DuckDB writes it alike."""
        if given.kind in ("text", "null"):
            return given
        if given.kind == "integer":
            return self.source.strict("str({0})", "text", given)
        if given.kind == "boolean":
            return self.source.strict('"true" if {0} else "false"', "text", given)
        raise Uncompiled(
            node, f"a {given.kind} is not written as text alike; use strftime, or do it upstream"
        )

    def _cast(self, node: exp.Expr) -> Value:
        target = of_sql(node.args["to"])
        if isinstance(node.this, exp.Literal) and node.this.args.get("is_string") and target in _TIMES:
            return _time(node, str(node.this.this), target)
        given = self.write(node.this)
        if given.kind in (target, "null"):
            return Value(given.code, target, given.is_nullable)
        if target == "text":
            return self.as_text(node, given)
        template = _CASTS.get((given.kind, target))
        if template is None:
            kind = str(node.args["to"].sql("duckdb"))
            raise Uncompiled(node, f"a cast of {given.kind} to {kind} is not compiled; do it upstream")
        return self.source.strict(template, target, given)

    def integer(self, node: exp.Expr) -> Value:
        """An integer."""
        given = self.write(node)
        if given.kind not in ("integer", "null"):
            raise Uncompiled(node, f"it is compiled for an integer, not for a {given.kind}")
        return given

    def floating(self, node: exp.Expr) -> Value:
        """A number as float."""
        given = self.write(node)
        if given.kind not in (*_NUMBERS, "null"):
            raise Uncompiled(node, f"it is compiled for a number, not for a {given.kind}")
        return self.taken_as(given, "real")

    def truth(self, node: exp.Expr) -> Value:
        """A condition."""
        given = self.write(node)
        if given.kind not in ("boolean", "null"):
            raise Uncompiled(node, f"a {given.kind} is taken for true or false; say what makes it true")
        return given

    def timestamp(self, given: Value) -> Value:
        """A date as its midnight; anything else as it is."""
        return self.taken_as(given, "timestamp") if given.kind == "date" else given

    def numbers(self, node: exp.Expr, left: Value, right: Value) -> Kind:
        """The kind in which two numbers are counted together."""
        kind = wider(left.kind, right.kind)
        if kind not in (*_NUMBERS, "null"):
            raise Uncompiled(node, f"it is compiled for numbers, not for {left.kind} and {right.kind}")
        return "integer" if kind == "null" else kind

    def together(self, node: exp.Expr, *given: Value) -> Kind:
        """The kind that values are taken for together."""
        kind: Kind = "null"
        for one in given:
            found = wider(kind, one.kind)
            if found is None or found == "other":
                raise Uncompiled(node, f"{kind} and {one.kind} are mixed; cast one to the other")
            kind = found
        return kind

    def taken_as(self, given: Value, kind: Kind) -> Value:
        """A value as another kind, which it was found to fit."""
        if given.kind in (kind, "null"):
            return Value(given.code, kind, given.is_nullable)
        if kind == "real":
            if given.code.startswith("Decimal("):
                return Value(repr(float(given.code[9:-2])), kind, False)
            return self.source.strict("float({0})", kind, given)
        if kind == "decimal":
            return self.source.strict("Decimal({0})", kind, given)
        if (given.kind, kind) == ("date", "timestamp"):
            return self.source.strict(f"{{0}} * {DAY}", kind, given)
        return given


def _time(node: exp.Expr, text: str, kind: Kind) -> Value:
    try:
        code = (
            days(date.fromisoformat(text)) if kind == "date" else microseconds(datetime.fromisoformat(text))
        )
    except ValueError as refusal:
        raise Uncompiled(node, f"it is no ISO 8601 {kind}: {refusal}") from refusal
    return Value(str(code), kind, False)


_WRITERS: Mapping[type[exp.Expr], Callable[[Expressions, exp.Expr], Value]] = {
    exp.Column: Expressions._column,
    exp.Paren: Expressions._within,
    exp.Alias: Expressions._within,
    exp.Literal: Expressions._literal,
    exp.Boolean: Expressions._boolean,
    exp.Null: Expressions._null,
    exp.DPipe: Expressions._piped,
    exp.Cast: Expressions._cast,
    **arithmetic.WRITERS,
    **logic.WRITERS,
    **times.WRITERS,
}

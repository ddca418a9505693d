"""Times: parts, differences, clocks of zones, intervals, and times as text."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlglot import exp

from ml.online_plan import functions as calls
from ml.online_plan.kinds import MICROSECONDS, Kind
from ml.online_plan.source import Uncompiled, Value, unknown

if TYPE_CHECKING:
    from ml.online_plan.expressions import Expressions

Writer = Callable[["Expressions", exp.Expr], Value]

_PARTS: Mapping[type[exp.Expr], str] = {
    exp.Hour: "hour",
    exp.Minute: "minute",
    exp.Second: "second",
    exp.DayOfWeekIso: "isodow",
    exp.DayOfWeek: "dow",
    exp.DayOfYear: "doy",
    exp.Day: "day",
    exp.Week: "week",
    exp.Month: "month",
    exp.Quarter: "quarter",
    exp.Year: "year",
    exp.TimeToUnix: "epoch",
}
_DIFFERENCES = ("microsecond", "millisecond", "second", "minute", "hour", "day")
_CLOCK_UNITS = {name: MICROSECONDS[name] for name in (*_DIFFERENCES, "week")}


def _interval(to: "Expressions", node: exp.Expr) -> Value:
    unit = str(node.args["unit"].name if node.args.get("unit") else "").lower().rstrip("s")
    if unit not in _CLOCK_UNITS:
        raise Uncompiled(
            node, f"intervals of {unit or 'several units'} are not compiled: days to microseconds are"
        )
    if isinstance(node.this, exp.Literal):
        return Value(str(int(node.this.this) * _CLOCK_UNITS[unit]), "interval", False)
    given = to.write(node.this)
    if given.kind != "integer":
        raise Uncompiled(node, f"an interval of a {given.kind} is not compiled, of an integer it is")
    return to.source.strict(f"{{0}} * {_CLOCK_UNITS[unit]}", "interval", given)


def _difference(to: "Expressions", node: exp.Expr) -> Value:
    unit = node.args["unit"].name.lower()
    start, end = to.timestamp(to.write(node.expression)), to.timestamp(to.write(node.this))
    if unit not in _DIFFERENCES or start.kind != "timestamp" or end.kind != "timestamp":
        raise Uncompiled(node, f"datediff is compiled for timestamps and dates in {', '.join(_DIFFERENCES)}")
    size = _CLOCK_UNITS[unit]
    return to.source.strict(f"{{1}} // {size} - {{0}} // {size}", "integer", start, end)


def _truncated(to: "Expressions", node: exp.Expr) -> Value:
    unit, given = node.args["unit"].name.lower(), to.timestamp(to.write(node.this))
    if unit not in _DIFFERENCES or given.kind != "timestamp":
        raise Uncompiled(node, f"date_trunc is compiled for timestamps to {', '.join(_DIFFERENCES)}")
    return to.source.strict(f"{{0}} // {_CLOCK_UNITS[unit]} * {_CLOCK_UNITS[unit]}", "timestamp", given)


def _written(to: "Expressions", node: exp.Expr) -> Value:
    form, given = node.args["format"], to.timestamp(to.write(node.this))
    text = str(form.this) if isinstance(form, exp.Literal) else ""
    if given.kind != "timestamp" or not text or not _is_alike(text):
        raise Uncompiled(node, f"strftime is compiled for a text of %{' %'.join(sorted(calls.STRFTIME))}")
    return to.source.strict(f"text_at({text!r}, {{0}})", "text", given)


def _extracted(to: "Expressions", node: exp.Expr) -> Value:
    return _part(to, node, str(node.this.name).lower(), node.expression)


def _part(to: "Expressions", node: exp.Expr, name: str, of: exp.Expr) -> Value:
    given = to.timestamp(to.write(of))
    if given.kind == "timestamp" and name in calls.CLOCK:
        kind: Kind = "real" if name == "epoch" else "integer"
        return to.source.strict(calls.CLOCK[name], kind, given)
    if given.kind == "timestamp" and name in calls.CALENDAR:
        return to.source.strict(f"part({name!r}, {{0}})", "integer", given)
    known = ", ".join(sorted({*calls.CLOCK, *calls.CALENDAR}))
    raise Uncompiled(node, f"of timestamps and dates these parts are compiled: {known}")


def _zoned(to: "Expressions", node: exp.Expr) -> Value:
    if isinstance(node, exp.AtTimeZone):
        return _at_zone(to, node, to.write(node.args["zone"]), to.write(node.this))
    zone, at = node.expressions
    return _at_zone(to, node, to.write(zone), to.write(at))


def _at_zone(to: "Expressions", node: exp.Expr, zone: Value, at: Value) -> Value:
    if zone.kind == "text" and at.kind == "instant":
        template = "{1}" if zone.code == "'UTC'" else "local({0}, {1})"
        return to.source.strict(template, "timestamp", zone, at)
    if zone.code == "'UTC'" and at.kind == "timestamp":
        return Value(at.code, "instant", at.is_nullable)
    raise Uncompiled(
        node, "only UTC is taken to a zone's clock; what a local clock's time means belongs upstream"
    )


def _anonymous(to: "Expressions", node: exp.Expr) -> Value:
    name = str(node.this).lower()
    if name == "timezone" and len(node.expressions) == 2:  # noqa: PLR2004
        return _zoned(to, node)
    if name == "date_part" and isinstance(node.expressions[0], exp.Literal):
        return _part(to, node, str(node.expressions[0].this).lower(), node.expressions[1])
    unit = name.removeprefix("to_").rstrip("s")
    if name.startswith("to_") and unit in _CLOCK_UNITS:
        return to.source.strict(f"{{0}} * {_CLOCK_UNITS[unit]}", "interval", to.integer(node.expressions[0]))
    raise Uncompiled(node, unknown(node))


def _is_alike(form: str) -> bool:
    parts = form.replace("%%", "").split("%")[1:]
    return all(one[:1] in calls.STRFTIME for one in parts)


WRITERS: Mapping[type[exp.Expr], Writer] = {
    exp.Interval: _interval,
    exp.DateDiff: _difference,
    exp.TimestampTrunc: _truncated,
    exp.TimeToStr: _written,
    exp.Extract: _extracted,
    exp.AtTimeZone: _zoned,
    exp.Anonymous: _anonymous,
    **{kind: lambda to, node: _part(to, node, _PARTS[type(node)], node.this) for kind in _PARTS},
}

"""Feature SQL compiled to one Python function a row: the same definition as DuckDB runs, without DuckDB.

Which rows the tables hold comes in `bound`; what the subset is, is `expressions`', `lookups`' and `steps`'.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from ml.errors import FeatureSqlUnfit
from ml.online_plan.expressions import Expressions
from ml.online_plan.functions import NAMES
from ml.online_plan.kinds import Kind
from ml.online_plan.lookups import ANSWER, Lookup
from ml.online_plan.source import Source, Uncompiled, Value
from ml.online_plan.steps import REQUEST, Step, read_steps
from ml.proofs.sql_parts import line_of

Kinds = Mapping[str, Kind]


@dataclass(frozen=True)
class Plan:
    """Source of `features(request, index_0, index_1, …)`, which gives the values of `outputs` for a row.

    `request` holds the values of `given` in their order. Index n of `lookups` finds, by its keys' values, the
    instants of rows in order and the rows as tuples of its `read` columns.
    """

    text: str
    given: tuple[str, ...]
    outputs: Mapping[str, Kind]
    lookups: tuple[Lookup, ...]


def compile_plan(table: str, sql: str, request: Kinds, tables: Mapping[str, Kinds]) -> Plan:
    """Compile a feature table's SQL; `request` and `tables` say the kinds of their columns.

    Raises FeatureSqlUnfit with line and reason where it does something that is not computed alike.
    """
    try:
        return _Compiler(request, tables).compiled(read_steps(sql))
    except SqlglotError as refusal:
        raise FeatureSqlUnfit(table, None, "", str(refusal).splitlines()[0]) from refusal
    except Uncompiled as refusal:
        fragment = str(refusal.node.sql("duckdb", normalize_functions="lower"))
        raise FeatureSqlUnfit(table, _line(refusal.node, sql), fragment, refusal.reason) from refusal


def function_of(plan: Plan) -> Any:
    """The function itself."""
    names = dict(NAMES)
    names["__builtins__"] = {one.__name__: one for one in (float, int, str, abs)}
    names |= {"bisect_left": bisect_left, "bisect_right": bisect_right, "len": len}
    exec(compile(plan.text, "<feature SQL>", "exec"), names)  # noqa: S102  written here from a checked subset
    return names.pop("features")  # or it would be its own, and stay when nobody else has it


class _Compiler:
    """Writes the steps in order; of each only the columns that later ones need."""

    def __init__(self, request: Kinds, tables: Mapping[str, Kinds]) -> None:
        self._request, self._tables = request, tables
        self._source = Source()
        self._steps: dict[str, dict[str, Value]] = {}
        self._lookups: list[Lookup] = []

    def compiled(self, steps: tuple[Step, ...]) -> Plan:
        needed = _needed(steps, set(self._request))
        given = tuple(name for name in self._request if name in needed[REQUEST])
        self._steps[REQUEST] = {
            name: Value(f"given_{place}", self._request[name]) for place, name in enumerate(given)
        }
        for step in steps:
            self._steps[step.name] = self._written(step, needed[step.name])
        last = self._steps[steps[-1].name]
        head = f"def features(request{''.join(f', index_{n}' for n in range(len(self._lookups)))}):\n"
        unpacked = f"    [{', '.join(f'given_{place}' for place in range(len(given)))}] = request\n"
        told = f"    return [{', '.join(value.code for value in last.values())}]\n"
        outputs = {name: value.kind for name, value in last.items()}
        return Plan(head + unpacked + self._source.text + told, given, outputs, tuple(self._lookups))

    def _written(self, step: Step, needed: set[str]) -> dict[str, Value]:
        before = self._steps[step.previous]
        found = dict(before) if step.is_all else {}
        answer = self._answered(step.lookup) if step.lookup else {}
        expressions = Expressions(self._source, lambda node: _resolved(node, before, answer))
        for name, expression in step.columns.items():
            if name in needed:
                found[name] = expressions.write(expression)
        return found

    def _answered(self, lookup: Lookup) -> dict[str, Value]:
        """Write the lookup; the values of the columns taken."""
        kinds = self._tables.get(lookup.table)
        if kinds is None:
            raise Uncompiled(exp.to_table(lookup.table), "there is no such online table")
        source, asked = self._source, self._steps[lookup.asked_in]
        over = Expressions(source, lambda node: _resolved(node, asked, {}))
        place = len(self._lookups)
        self._check_kinds(lookup, kinds)
        keys = [over.write(question) for question, _ in lookup.keys]
        self._check_keys(lookup, kinds, keys)
        until = over.write(lookup.until)
        since = over.write(lookup.since) if lookup.since is not None else None
        nullable = [one for one in (*keys, until, *([since] if since else [])) if one.is_nullable]
        asks = " and ".join(f"{one.code} is not None" for one in nullable) or "True"
        found = source.name()
        key = f"({', '.join(one.code for one in keys)},)" if len(keys) != 1 else keys[0].code
        source.line(f"{found} = None")
        with source.block(f"if {asks}"):
            entry = source.name()
            source.line(f"{entry} = index_{place}({key if keys else '()'})")
            with source.block(f"if {entry} is not None"):
                self._search(lookup, kinds, asked, (found, entry, until, since))
        self._lookups.append(lookup)
        return self._taken(lookup, kinds, found)

    def _search(self, lookup: Lookup, kinds: Kinds, asked: dict[str, Value], named: Any) -> None:
        """Backwards from the newest row within the bound, to the first that holds."""
        found, entry, until, since = named
        source = self._source
        at, candidate = source.name(), source.name()
        bisect, before = ("bisect_right", "<=") if lookup.is_included else ("bisect_left", "<")
        # Mostly the newest of all is asked for, and no search is needed.
        whole = f"len({entry}[0]) if {entry}[0][-1] {before} {until.code}"
        source.line(f"{at} = {whole} else {bisect}({entry}[0], {until.code})")
        with source.block(f"while {at}"):
            source.line(f"{at} -= 1")
            if since is not None:
                with source.block(f"if {entry}[0][{at}] < {since.code}"):
                    source.line("break")
            source.line(f"{candidate} = {entry}[1][{at}]")
            held = {
                name: Value(f"{candidate}[{lookup.read.index(name)}]", kinds[name])
                for condition in lookup.holds
                for name in _answers(condition)
            }
            over = Expressions(source, lambda node: _resolved(node, asked, held))
            holds = " and ".join(over.write(condition).code for condition in lookup.holds) or "True"
            with source.block(f"if {holds}"):
                source.line(f"{found} = {candidate}")
                source.line("break")

    def _taken(self, lookup: Lookup, kinds: Kinds, found: str) -> dict[str, Value]:
        names = tuple(dict.fromkeys(lookup.columns.values()))
        if not names:
            return {}
        codes = [self._source.name() for _ in names]
        told = ", ".join(f"{found}[{lookup.read.index(name)}]" for name in names)
        with self._source.block(f"if {found} is None"):
            self._source.line(f"{' = '.join(codes)} = None")
        with self._source.block("else"):
            self._source.line(f"{', '.join(codes)} = {told}")
        return {name: Value(code, kinds[name]) for name, code in zip(names, codes, strict=True)}

    def _check_kinds(self, lookup: Lookup, kinds: Kinds) -> None:
        for name in lookup.read:
            if name not in kinds:
                raise Uncompiled(exp.column(name, lookup.table), f'"{lookup.table}" has no such column')
            if kinds[name] == "other":
                reason = "its type is not computed with at serving; cast it upstream"
                raise Uncompiled(exp.column(name, lookup.table), reason)

    def _check_keys(self, lookup: Lookup, kinds: Kinds, keys: list[Value]) -> None:
        for (question, name), value in zip(lookup.keys, keys, strict=True):
            if value.kind not in (kinds[name], "null"):
                reason = f'"{name}" of {lookup.table} is {kinds[name]}, and this is {value.kind}'
                raise Uncompiled(question, reason)


def _resolved(node: exp.Column, before: Mapping[str, Value], answer: Mapping[str, Value]) -> Value:
    found = (answer if node.table == ANSWER else before).get(node.name)
    if found is None:
        raise Uncompiled(node, "there is no such column in what the step reads")
    if found.kind == "other":
        raise Uncompiled(node, "its type is not computed with at serving; cast it upstream")
    return found


def _line(node: exp.Expr, sql: str) -> int | None:
    """Where it stands; of what has no place of its own, where that around it does."""
    around: exp.Expr | None = node
    while around is not None:
        line = line_of(around, sql)
        if line is not None:
            return line
        around = around.parent
    return None


def _answers(expression: exp.Expr) -> set[str]:
    return {one.name for one in expression.find_all(exp.Column) if one.table == ANSWER}


def _needed(steps: tuple[Step, ...], request: set[str]) -> dict[str, set[str]]:
    """The columns of each step that a later one reads; of the last all."""
    needed: dict[str, set[str]] = {name: set() for name in (REQUEST, *(step.name for step in steps))}
    every = request.union(*(step.columns for step in steps))
    needed[steps[-1].name] = every if steps[-1].is_all else set(steps[-1].columns)
    for step in reversed(steps):
        own = needed[step.name]
        read = {
            node.name
            for name, expression in step.columns.items()
            if name in own
            for node in expression.find_all(exp.Column)
            if node.table != ANSWER
        }
        needed[step.previous] |= read | (own - set(step.columns) if step.is_all else set())
        if step.lookup:
            asked = {
                node.name
                for one in step.lookup.questions
                for node in one.find_all(exp.Column)
                if node.table != ANSWER
            }
            needed[step.lookup.asked_in] |= asked
    return needed

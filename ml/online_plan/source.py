"""Python source written line by line: values get names, the same computation is written once a block.

What is computed is for its callers to say, and what can't be.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlglot import exp

from ml.online_plan.kinds import Kind


class Uncompiled(Exception):
    """Something outside the subset: the node to blame and why."""

    def __init__(self, node: exp.Expr, reason: str) -> None:
        super().__init__(reason)
        self.node, self.reason = node, reason


def unknown(node: exp.Expr) -> str:
    """Why an expression of no known sort is not compiled."""
    if isinstance(node, exp.Window) or node.find(exp.Window) is not None:
        return "a window needs other rows than the one asked for"
    if isinstance(node, exp.AggFunc):
        return "an aggregate needs other rows than the one asked for"
    if isinstance(node, exp.Query | exp.Subquery):
        return "a query within an expression is looked up row by row; use as_of"
    name = node.name if isinstance(node, exp.Anonymous) else node.key
    return f'"{name}" is not among what is computed alike at serving'


@dataclass(frozen=True)
class Value:
    """A name or a literal in the source, its kind, and whether it may be None."""

    code: str
    kind: Kind
    is_nullable: bool = True


class Source:
    """Statements of one function's body."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indent = 1
        self._known: list[dict[str, str]] = [{}]
        self._n_names = 0

    @property
    def text(self) -> str:
        """The body, indented once."""
        return "".join(f"{line}\n" for line in self._lines)

    def line(self, statement: str) -> None:
        """Write a statement."""
        self._lines.append("    " * self._indent + statement)

    def name(self) -> str:
        """A name not taken yet."""
        self._n_names += 1
        return f"v{self._n_names}"

    def keep(self, code: str) -> str:
        """The name of an expression's value, computed once in this block and those within it."""
        for known in self._known:
            if code in known:
                return known[code]
        name = self.name()
        self.line(f"{name} = {code}")
        self._known[-1][code] = name
        return name

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Statements under `head:`; what is computed there is not known after it."""
        self.line(f"{head}:")
        self._indent += 1
        self._known.append({})
        yield
        self._known.pop()
        self._indent -= 1

    def strict(self, template: str, kind: Kind, *given: Value, may_be_null: bool = False) -> Value:
        """`template` over values' codes; None where one of them is."""
        code = template.format(*(one.code for one in given))
        nullable = [f"{one.code} is None" for one in dict.fromkeys(given) if one.is_nullable]
        if any(one.kind == "null" for one in given):
            return Value("None", kind)
        if nullable:
            code = f"None if {' or '.join(nullable)} else {code}"
        return Value(self.keep(code), kind, bool(nullable) or may_be_null)

"""Which columns name a row of a query, worked out from the keys of the tables it reads.

What follows from two rows being alike is a rule's to say. Where nothing can be proved, no key is claimed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, product

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from ml.proofs import sql_parts as parts
from ml.proofs.relations import Keys, Relation
from ml.proofs.sql_parts import column_text, text_of

_MOST_WAYS = 64
_MOST_KEYS = 8  # a cross join multiplies keys; more than a few say nothing new
Key = frozenset[str]


@dataclass
class Rows:
    """Rows on their way through a query, their columns and expressions as SQL text.

    `keys` name a row; `fixed` have one value in all rows; `equal` pairs are equal in each row; `decides` says
    which columns follow from others.
    """

    keys: set[Key] = field(default_factory=set)
    fixed: set[str] = field(default_factory=set)
    equal: list[tuple[str, str]] = field(default_factory=list)
    decides: list[tuple[Key, Key]] = field(default_factory=list)

    def following(self, given: Iterable[str]) -> set[str]:
        """Everything that is the same in two rows that agree in `given`."""
        known, before = set(given) | self.fixed, -1
        while len(known) != before:
            before = len(known)
            known |= {one for pair in self.equal if set(pair) & known for one in pair}
            for key, columns in self.decides:
                known |= columns if key <= known else frozenset()
        return known

    def are_told_apart_by(self, given: Iterable[str]) -> bool:
        """Whether no two rows agree in all of `given`."""
        known = self.following(given)
        return any(key <= known for key in self.keys)


class UniqueRows:
    """Keys in the scopes of one qualified query."""

    def __init__(self, relations: dict[tuple[str, str], Relation]) -> None:
        self._relations = relations
        self._keys: dict[int, Keys] = {}

    def of(self, scope: Scope) -> Keys:
        """The keys of a query's rows, by the names it gives its columns."""
        if id(scope) not in self._keys:
            self._keys[id(scope)] = frozenset()  # a recursive query meets itself here
            self._keys[id(scope)] = frozenset(self._of_query(scope))
        return self._keys[id(scope)]

    def read(self, scope: Scope) -> Rows:
        """The rows that a select reads: what its aggregates take, before any grouping."""
        select, rows = scope.expression, Rows()
        first = select.args.get("from_")
        if first is None:
            return Rows(keys={frozenset()})
        rows = self._source(first.this.alias_or_name, scope)
        for join in select.args.get("joins") or ():
            self._join(rows, join, scope)
        for condition in parts.conjuncts(select.args.get("where")):
            _hold(rows, condition, scope)
        return rows

    def grouped(self, scope: Scope) -> Rows:
        """The rows that window functions see: read, and grouped where the select says so."""
        rows, groups = self.read(scope), parts.group_texts(scope.expression)
        if groups is not None:
            rows.keys = set() if parts.has_grouping_sets(scope.expression) else {frozenset(groups)}
        return rows

    def joined(self, join: exp.Join, scope: Scope) -> Rows:
        """The rows of the source that is joined, alone."""
        return self._source(join.this.alias_or_name, scope)

    def _of_query(self, scope: Scope) -> Iterator[Key]:
        query = scope.expression
        if isinstance(query, exp.Select):
            yield from self._of_select(scope)
        elif isinstance(query, exp.SetOperation):
            yield from self._of_set(scope)
        elif isinstance(query, exp.Values) and _differ(query.expressions):
            yield frozenset(_names(query))

    def _of_select(self, scope: Scope) -> Iterator[Key]:
        select = scope.expression
        given = {name: text_of(one) for name, one in parts.outputs(select).items()}
        if any(one.find(exp.Unnest, exp.Explode) for one in parts.outputs(select).values()):
            return  # one row may become several
        rows = self.grouped(scope)
        for condition in parts.conjuncts(select.args.get("qualify")):
            rows.keys |= {frozenset(map(text_of, by)) for by in _numbered(condition)}
        for key in rows.keys:
            yield from _named(key, given, rows)
        if select.args.get("distinct") and not select.args["distinct"].args.get("on"):
            yield frozenset(given)

    def _of_set(self, scope: Scope) -> Iterator[Key]:
        query = scope.expression
        if not isinstance(query, exp.Union):
            yield from self.of(scope.set_operation_scopes[0])
        elif query.args.get("distinct"):
            yield frozenset(_names(query))
        else:
            yield from self._of_tagged(_names(query), list(_branches(scope)))

    def _of_tagged(self, names: list[str], branches: list[Scope]) -> Iterator[Key]:
        """`union all` has a key where a literal in each branch says which branch a row is of."""
        if not all(isinstance(branch.expression, exp.Select) for branch in branches):
            return
        keys = [next(iter(sorted(self._by_place(branch, names), key=sorted)), None) for branch in branches]
        cells = [list(parts.outputs(branch.expression).values()) for branch in branches]
        if {len(row) for row in cells} != {len(names)}:
            return
        for at, name in enumerate(names):
            tags = [row[at] for row in cells]
            if all(isinstance(tag, exp.Literal) for tag in tags) and _differ(tags) and None not in keys:
                yield frozenset({name}).union(*(key for key in keys if key is not None))

    def _by_place(self, branch: Scope, names: list[str]) -> Iterator[Key]:
        place = {name: at for at, name in enumerate(parts.outputs(branch.expression))}
        yield from (frozenset(names[place[name]] for name in key) for key in self.of(branch))

    def _source(self, alias: str, scope: Scope) -> Rows:
        """The rows of one of the select's sources, as far as its conditions leave them."""
        source, keys, columns = scope.sources.get(alias), set[Key](), list[str]()
        if isinstance(source, Scope):
            keys, columns = set(self.of(source)), _names(source.expression)
            for condition in parts.conjuncts(scope.expression.args.get("where")):
                keys |= _first_of_each(alias, source, condition)
        elif isinstance(source, exp.Table) and (relation := self._relations.get((source.db, source.name))):
            keys, columns = set(relation.keys), list(relation.types)
        of_alias = {frozenset(column_text(alias, name) for name in key) for key in keys}
        every = frozenset(column_text(alias, name) for name in columns)
        return Rows(of_alias, decides=[(key, every) for key in of_alias])

    def _join(self, rows: Rows, join: exp.Join, scope: Scope) -> None:
        if join.kind in {"SEMI", "ANTI"}:
            return
        right = self.joined(join, scope)
        if join.side in {"RIGHT", "FULL"} or join.method == "POSITIONAL":
            rows.keys, rows.decides, rows.equal = set(), [], []
            return
        if join.side != "LEFT":
            rows.equal += parts.column_pairs(join.args.get("on"))
        rows.decides += right.decides
        matched = parts.matched_columns(join)
        if join.method == "ASOF" or any(key <= matched for key in right.keys):
            columns = frozenset(column for _, of_key in right.decides for column in of_key)
            rows.decides += [(key, columns) for key in rows.keys]
            return  # a row on the left meets at most one on the right
        # Columns of the right that are tied follow from the row on the left, also where it meets none.
        products = {one | (other - matched) for one in rows.keys for other in right.keys}
        rows.keys = set(sorted(products, key=lambda key: (len(key), sorted(key)))[:_MOST_KEYS])


def _hold(rows: Rows, condition: exp.Expr, scope: Scope) -> None:
    """Note what an equality, or IS NULL, in a WHERE says of the rows that are left."""
    if isinstance(condition, exp.EQ):
        for one, other in (
            (condition.this, condition.expression),
            (condition.expression, condition.this),
        ):
            local = any(column.table in scope.sources for column in other.find_all(exp.Column))
            if not local and not other.find(exp.Query):
                rows.fixed.add(text_of(one))
        rows.equal += parts.column_pairs(condition)
    elif isinstance(condition, exp.Is) and isinstance(condition.expression, exp.Null):
        rows.fixed.add(text_of(condition.this))


def _numbered(condition: exp.Expr) -> Iterator[list[exp.Expr]]:
    """`row_number() over (partition by a, b …) = 1` leaves one row for each a, b."""
    if isinstance(condition, exp.EQ) and text_of(condition.expression) == "1":
        yield from _partition(condition.this)


def _partition(window: exp.Expr) -> Iterator[list[exp.Expr]]:
    if isinstance(window, exp.Window) and isinstance(window.this, exp.RowNumber):
        yield parts.partition_of(window)


def _first_of_each(alias: str, source: Scope, condition: exp.Expr) -> set[Key]:
    """The same where the number is a column of an earlier step."""
    named = condition.this if isinstance(condition, exp.EQ) else None
    if (
        not isinstance(named, exp.Column)
        or named.table != alias
        or not isinstance(source.expression, exp.Select)
    ):
        return set()
    given = parts.outputs(source.expression)
    names = {text_of(expression): name for name, expression in given.items()}
    if named.name not in given or text_of(condition.expression) != "1":
        return set()
    keys = ([names.get(text_of(one)) for one in by] for by in _partition(given[named.name]))
    return {frozenset(str(name) for name in key) for key in keys if None not in key}


def _differ(expressions: list[exp.Expr]) -> bool:
    return len(set(map(text_of, expressions))) == len(expressions)


def _names(query: exp.Expr) -> list[str]:
    if isinstance(query, exp.Query):
        return list(parts.outputs(query))
    alias = query.args.get("alias")
    return [str(column.name) for column in (alias.args.get("columns") if alias else None) or ()]


def _named(key: Key, given: dict[str, str], rows: Rows) -> Iterator[Key]:
    """A key by the names of the columns that give it, in each way there is; none when a part is missing."""
    ways: list[list[str]] = []
    for part in sorted(key - rows.fixed):
        alike = {part, *(one for pair in rows.equal if part in pair for one in pair)}
        ways.append([name for name, text in given.items() if text in alike])
    yield from map(frozenset, islice(product(*ways), _MOST_WAYS))


def _branches(scope: Scope) -> Iterator[Scope]:
    """The selects of a chain of `union all`."""
    query = scope.expression
    if isinstance(query, exp.Union) and not query.args.get("distinct"):
        for branch in scope.set_operation_scopes:
            yield from _branches(branch)
    else:
        yield scope

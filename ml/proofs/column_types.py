"""The type of an expression in a query, as DuckDB itself binds it.

No rows are read: each column stands for one of its type in an empty table, so no table of the SQL need exist.
"""

from collections.abc import Sequence

import duckdb
from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from ml.proofs.relations import Relation
from ml.proofs.sql_parts import DIALECT, outputs

UNKNOWN = ""


class ColumnTypes:
    """Types of expressions in the scopes of one qualified query; `UNKNOWN` where DuckDB cannot tell."""

    def __init__(self, relations: dict[tuple[str, str], Relation]) -> None:
        self._relations = relations
        self._outputs: dict[int, dict[str, str]] = {}
        self._columns: dict[str, str] = {}  # of `of_type`, by the type they were asked for
        self._named: dict[str, str] = {}  # DuckDB's own name of their type
        self._con = duckdb.connect()
        self._con.execute("set TimeZone = 'UTC'; create table of_type (none boolean)")

    def of(self, expression: exp.Expr, scope: Scope) -> str:
        """The DuckDB type of an expression over the scope's columns."""
        return self._bound(self._stood_in(expression, scope))

    def outputs(self, scope: Scope) -> dict[str, str]:
        """Types by the names that a scope's query gives its columns."""
        if id(scope) not in self._outputs:
            self._outputs[id(scope)] = {}  # a recursive query meets itself here
            self._outputs[id(scope)] = self._output_types(scope)
        return self._outputs[id(scope)]

    def _output_types(self, scope: Scope) -> dict[str, str]:
        query = scope.expression
        if isinstance(query, exp.SetOperation):
            branches = [self.outputs(branch) for branch in scope.set_operation_scopes]
            columns = zip(*(branch.values() for branch in branches), strict=False)
            return dict(zip(branches[0], map(self._united, columns), strict=False))
        if isinstance(query, exp.Values):
            names = [column.name for column in query.args["alias"].args.get("columns") or ()]
            rows = [row.expressions for row in query.expressions]
            types = (self._united([self._bound(cell) for cell in cells]) for cells in zip(*rows, strict=True))
            return dict(zip(names, types, strict=False))
        if isinstance(query, exp.Select):
            return {name: self.of(one, scope) for name, one in outputs(query).items()}
        return {}

    def _stood_in(self, expression: exp.Expr, scope: Scope) -> exp.Expr:
        """The expression with each column replaced by one of its type, naming no relation of the query."""
        copy = expression.copy()
        return copy.transform(lambda node: self._stand_in(node, scope))

    def _stand_in(self, node: exp.Expr, scope: Scope) -> exp.Expr:
        if isinstance(node, exp.Column):
            return exp.column(self._column(self._column_type(node, scope)), "of_type")
        if isinstance(node, exp.Exists):
            return exp.true()
        if isinstance(node, exp.Subquery):
            inner = next(
                (one for one in scope.subquery_scopes if one.expression.sql() == node.this.sql()), None
            )
            types = list(self.outputs(inner).values()) if inner else []
            return exp.column(self._column(types[0] if types else UNKNOWN), "of_type")
        if isinstance(node, exp.Window):
            for part in ("partition_by", "order", "spec", "alias"):
                node.set(part, None)  # which rows are in the window does not change its type
        return node

    def _column_type(self, column: exp.Column, scope: Scope) -> str:
        at: Scope | None = scope
        while at is not None:
            source = at.sources.get(column.table)
            if isinstance(source, Scope):
                return self.outputs(source).get(column.name, UNKNOWN)
            if isinstance(source, exp.Table):
                relation = self._relations.get((source.db, source.name))
                return relation.types.get(column.name, UNKNOWN) if relation else UNKNOWN
            at = at.parent
        return UNKNOWN

    def _column(self, type_: str) -> str:
        """The name of a column of that type in `of_type`; an unknown type has none that exists."""
        if type_ == UNKNOWN:
            return "unknown"
        if type_ not in self._columns:
            name = f"c{len(self._columns)}"
            try:
                self._con.execute(f"alter table of_type add column {name} {type_}")
            except duckdb.Error:
                return "unknown"  # a declared type that DuckDB does not have
            self._columns[type_] = name
            self._named[name] = self._described(f"select {name} from of_type")  # `float8` is a DOUBLE
        return self._columns[type_]

    def _united(self, types: Sequence[str]) -> str:
        if len(set(types)) == 1 or UNKNOWN in types:
            return types[0] if UNKNOWN not in types else UNKNOWN
        branches = (f"select {self._column(type_)} as one from of_type" for type_ in types)
        return self._described(" union all ".join(branches))

    def _bound(self, expression: exp.Expr) -> str:
        if isinstance(expression, exp.Column) and expression.table == "of_type":
            return self._named.get(expression.name, UNKNOWN)
        # Grouped by every column, an expression may be an aggregate, or hold one beside a bare column.
        grouped = ", ".join(["none", *self._columns.values()])
        return self._described(f"select {expression.sql(DIALECT)} as one from of_type group by {grouped}")

    def _described(self, query: str) -> str:
        try:
            return str(self._con.execute(f"describe {query}").fetchall()[0][1])
        except duckdb.Error:
            return UNKNOWN

"""What each finding of the linter means, and how to mend it.

Where a rule applies is `sql_lint`'s.
"""

from dataclasses import dataclass

_LONGEST = 160  # characters of a fragment that are shown

# Rule -> why it does not repeat, how to mend it.
RULES = {
    "float_sum": (
        "float addition depends on the order of the rows, which differs with threads",
        "cast the argument to a DECIMAL, sum integers, or order in the aggregate by columns that name a row",
    ),
    "float_statistic": (
        "it is computed in floats, merged in an order that differs with threads, also over integers",
        "compute it from count(*), sum(x) and sum(x * x) over integers or DECIMALs, or order inside the "
        "aggregate by columns that name a row",
    ),
    "float_window": (
        "a window's float sum depends on how threads split the rows",
        "cast the argument to a DECIMAL or sum integers",
    ),
    "unknown_type": (
        "the type of the summed expression is not known, and a float sum would not repeat",
        "cast the argument to an integer or a DECIMAL, or declare data_type for the columns it reads",
    ),
    "unordered": (
        "it takes rows in the order in which threads deliver them",
        "order inside the aggregate by columns that name a row, or use min or max",
    ),
    "order_tie": (
        "rows that tie in its ORDER BY come in the order in which threads deliver them",
        "add columns to its ORDER BY until they name a row (a unique or unique_together test says which do)",
    ),
    "extreme_tie": (
        "of rows that tie in the extreme, the one that a thread meets first is taken",
        "make the second argument a row of columns that name a row, such as (known_at, flight_id)",
    ),
    "window_unordered": (
        "without ORDER BY the rows of a window have no order, and the value hangs on it",
        "order the window by columns that name a row within its partition",
    ),
    "window_tie": (
        "rows that tie in the window's ORDER BY come in any order, and the value hangs on it",
        "add columns to the window's ORDER BY until they name a row (a unique or unique_together test says "
        "which do)",
    ),
    "asof_tie": (
        "of rows that tie in the columns of an ASOF join, any one is taken",
        "join a table whose unique or unique_together test covers these columns, or deduplicate it before",
    ),
    "distinct_tie": (
        "DISTINCT ON keeps the first row of each group, and rows may tie for it",
        "order by columns that name a row",
    ),
    "limit": (
        "which rows are left depends on threads, unless all rows have an order",
        "order by columns that name a row (a unique or unique_together test says which do)",
    ),
    "sample": (
        "a sample takes other rows each time",
        "choose rows by a hash of their key: hash(key) % 100 < 10",
    ),
    "positional_join": ("rows of a table have no place of their own", "join by columns that name a row"),
    "clock": (
        "it is another moment in each run",
        "use the run's days (var start_day, end_day) or the row's own event_at, known_at or prediction_at",
    ),
    "volatile": ("its value does not follow from its arguments", "derive the value from the row: hash(key)"),
    "sketch": (
        "it is an estimate, or breaks ties, in an order that differs with threads",
        "use quantile_cont, median, or the row with the greatest (count, value)",
    ),
    "unproven": (
        "nothing is known of whether this aggregate repeats",
        "use an aggregate that is known to, or measure it and list it in ml/proofs/sql_functions.py",
    ),
    "unreadable": (
        "what cannot be read cannot be proved to repeat",
        "write it so that sqlglot reads it as DuckDB's SQL, with tables that are declared",
    ),
}


@dataclass(frozen=True)
class Finding:
    """One place in a table's SQL that may differ from run to run; `line` counts in the compiled SQL."""

    table: str
    rule: str
    fragment: str
    line: int | None

    @property
    def why(self) -> str:
        """Why it does not repeat."""
        return RULES[self.rule][0]

    @property
    def mend(self) -> str:
        """What to write instead."""
        return RULES[self.rule][1]

    def __str__(self) -> str:
        place = f", line {self.line} of its compiled SQL" if self.line else ""
        shown = self.fragment if len(self.fragment) <= _LONGEST else self.fragment[: _LONGEST - 1] + "…"
        return f"{self.table}{place}: {shown} — {self.why}. Mend: {self.mend}."

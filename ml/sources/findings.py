"""What changed about a source's files: the kinds of change, and one change as it was found.

How changes are found does not belong here.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "new_column",
    "missing_column",
    "reordered_columns",
    "retyped_column",
    "new_category",
    "vanished_category",
    "changed_units",
]
Action = Literal["inform", "warn", "quarantine", "fail"]


@dataclass(frozen=True)
class Finding:
    """A change in one column: its kind, what the file holds and what was to be expected, in words."""

    kind: Kind
    column: str
    found: str
    expected: str
    action: Action

    def __str__(self) -> str:
        """Like `new category: "ZZ" was never seen in 31 days before`."""
        return f"{self.kind.replace('_', ' ')}: {self.found}"

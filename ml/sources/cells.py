"""What is read of a landed file: its cells as text, whatever its format.

How a format is read is `reading`'s and `columnar`'s; what the text should mean does not belong here.
"""

from dataclasses import dataclass

import pyarrow as pa

from ml.sources.findings import Finding


@dataclass(frozen=True)
class Misshapen:
    """A line with too few or too many fields; `row_number` 1 is the first line after the header."""

    row_number: int
    n_fields: int
    text: str


@dataclass(frozen=True)
class Cells:
    """A file's cells: string columns `_cell_0`… and `row_number`, the lines that have no cells, and what
    changed about its columns."""

    table: pa.Table
    misshapen: tuple[Misshapen, ...]
    drift: tuple[Finding, ...] = ()

    @property
    def n_rows(self) -> int:
        """Data rows in the file, misshapen ones included."""
        return int(self.table.num_rows) + len(self.misshapen)

"""Takes fingerprints: of a table held in memory, or of a relation that DuckDB can read, by partition.

Where they are kept does not belong here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from ml.drift import counting
from ml.drift.bins import Bins, bins_of
from ml.drift.fingerprint import Fingerprint, nothing

if TYPE_CHECKING:
    from ml.contract import Contract

FILE = "fingerprint.json"


def take(
    con: duckdb.DuckDBPyConnection, relation: str, bins: Sequence[Bins], by: str | None = None
) -> dict[Any, Fingerprint]:
    """One fingerprint a value of column `by`; of key None where none is named. In one pass over the rows."""
    engine = counting.Duckdb()
    rows = con.execute(counting.query(relation, bins, by, engine)).fetchall()
    return {part: Fingerprint(tuple(bins), tuple(found)) for part, found in counting.read(rows, bins, engine)}


def take_table(rows: pa.Table, bins: Sequence[Bins], by: str | None = None) -> dict[Any, Fingerprint]:
    """The same of a table in memory, in one thread."""
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("given", rows)
        return take(con, "given", bins, by)


def fingerprint_of(contract: "Contract", train: pa.Table) -> Fingerprint:
    """Of the rows a model is trained on, with bins made of them."""
    bins = bins_of(contract, train)
    names = [one.name for one in bins]
    return take_table(train.select(names), bins).get(None) or nothing(bins)

"""Small batches of rows to publish, and what is read of them."""

from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from ml.lake.published import PublishBatch, Published
from tests.ml.lake_processes import FIRST


def day(n: int) -> date:
    """The n-th day, from 0."""
    return FIRST + timedelta(days=n)


def rows(first: int, n_days: int, value: int = 0, **more: Any) -> pa.Table:
    """Two rows a day."""
    days = [day(first + i) for i in range(n_days) for _ in range(2)]
    columns = {"day": pa.array(days, pa.date32()), "id": ["a", "b"] * n_days, "value": [value] * len(days)}
    return pa.table(columns | {name: [given] * len(days) for name, given in more.items()})


def batch(first: int, n_days: int, value: int = 0, keep: int | None = None, **more: Any) -> PublishBatch:
    """A batch of those rows for exactly their days."""
    return PublishBatch(rows(first, n_days, value, **more), day(first), day(first + n_days - 1), keep)


def values(published: Published, table: str, edition: int) -> list[int]:
    """The column `value` of a table in an edition."""
    found: list[int] = published.read(table, edition=published.edition(edition))["value"].to_pylist()
    return found

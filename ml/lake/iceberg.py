"""The Iceberg side of published tables: catalog, tables made and put back, tags, days.

Rows do not pass here: `writing` puts them in and `reading` gets them out.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from ml.lake.batches import plain

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import FileScanTask, Table, Transaction

NAMESPACE = "published"
_PROPERTIES = {
    "write.parquet.compression-codec": "zstd",  # for other engines; `writing` says so itself
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "30",  # a publish adds one, and a read opens each
}
_EPOCH = date(1970, 1, 1)


def open_catalog(url: sa.URL, warehouse: str) -> "SqlCatalog":
    """The catalog in the database at `url`; makes its tables, which only one process at a time may do."""
    from pyiceberg.catalog.sql import SqlCatalog  # 1.5 CPU-s

    properties = {"py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO", "warehouse": warehouse}
    return SqlCatalog("headwater", uri=url.render_as_string(hide_password=False), **properties)


def make(catalog: "SqlCatalog", name: str, schema: pa.Schema, description: str) -> "Table":
    """A new, empty table, by day if `schema` has one; what a killed publish left of that name goes."""
    identifier = (NAMESPACE, name)
    catalog.create_namespace_if_not_exists(NAMESPACE)
    if catalog.table_exists(identifier):
        catalog.drop_table(identifier)
    properties = _PROPERTIES | ({"comment": description} if description else {})
    with catalog.create_table_transaction(identifier, schema, properties=properties) as tx:
        if "day" in schema.names:
            with tx.update_spec() as spec:
                spec.add_identity("day")
    return catalog.load_table(identifier)


def put_back(table: "Table", snapshot: int) -> "Table":
    """The table with `snapshot` as its newest: what a killed publish put after it is undone."""
    if table.metadata.current_snapshot_id != snapshot:
        table.manage_snapshots().set_current_snapshot(snapshot_id=snapshot).commit()
    return table


def set_tag(table: "Table", name: str, snapshot: int | None) -> None:
    """Give the tag to a snapshot, or to none."""
    held = table.refs().get(name)
    if held and held.snapshot_id == snapshot:
        return
    with table.manage_snapshots() as change:
        if snapshot is not None:
            change.create_tag(snapshot, name)
        elif held:
            change.remove_tag(name)


def forget(tx: "Transaction", kept: set[int]) -> None:
    """Leave out, in this transaction, all snapshots but `kept`, the newest and the tagged."""
    from pyiceberg.table.update.snapshot import ExpireSnapshots

    metadata = tx.table_metadata
    kept = kept | {ref.snapshot_id for ref in metadata.refs.values()}
    gone = [each.snapshot_id for each in metadata.snapshots if each.snapshot_id not in kept]
    if gone:
        ExpireSnapshots(tx).by_ids(gone).commit()


def described(schema: pa.Schema, docs: Mapping[str, str]) -> pa.Schema:
    """The schema with descriptions of columns where PyIceberg looks for them."""
    return pa.schema(
        [field.with_metadata({"doc": docs[field.name]}) if field.name in docs else field for field in schema]
    )


def arrow_schema(schema: Any) -> pa.Schema:
    """An Iceberg schema in the plain types that rows are read and published in."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    return plain(schema_to_pyarrow(schema, include_field_ids=False).empty_table()).schema


def day_of(task: "FileScanTask") -> date | None:
    """The day that a data file holds; None in a table without days."""
    return _EPOCH + timedelta(days=int(task.file.partition[0])) if len(task.file.partition) else None


def between(first_day: date | None, last_day: date | None) -> "BooleanExpression":
    """The filter for a range of days, both included; None is open."""
    from pyiceberg.expressions import AlwaysTrue, And, GreaterThanOrEqual, LessThanOrEqual

    after = GreaterThanOrEqual("day", first_day.isoformat()) if first_day else AlwaysTrue()
    before = LessThanOrEqual("day", last_day.isoformat()) if last_day else AlwaysTrue()
    return And(after, before)

"""Clearing a published table: files that no snapshot reaches.

Which snapshots are kept does not belong here.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyarrow import fs

if TYPE_CHECKING:
    from pyiceberg.table import Table


def sweep(table: "Table", keep: timedelta) -> int:
    """Delete what no snapshot reaches and was not changed within `keep`; gives the number of files deleted.

    Killed in between it leaves files that the next call deletes.
    """
    return _delete_others(table, set(_reachable(table)), datetime.now(UTC) - keep)


def _reachable(table: "Table") -> Iterator[str]:
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    seen = set()
    for snapshot in table.snapshots():
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in seen:
                seen.add(manifest.manifest_path)
                yield manifest.manifest_path
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                yield from (entry.data_file.file_path for entry in entries)


def _delete_others(table: "Table", reachable: set[str], before: datetime) -> int:
    from pyiceberg.io.pyarrow import PyArrowFileIO

    assert isinstance(table.io, PyArrowFileIO)  # noqa: S101  (chosen where the catalog is opened)
    scheme, netloc, folder = PyArrowFileIO.parse_location(table.location())
    files = table.io.fs_by_scheme(scheme, netloc)
    paths = {PyArrowFileIO.parse_location(location)[2] for location in reachable}
    found = files.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    gone = [f.path for f in found if f.is_file and f.path not in paths and f.mtime < before]
    for path in gone:
        files.delete_file(path)
    return len(gone)

"""The raw tables of the workshop: made from declarations, filled, never updated.

How files become rows does not belong here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa

from ml.errors import BadDeclaration, LookupMissing, nearest
from ml.sources import clocks, fingerprints
from ml.sources.declaration import Lookup, Source
from ml.sources.kept import Version
from ml.sources.versions import current_view, versions_view

_TABLES = (
    """
create schema if not exists raw;
create table if not exists raw.declarations (source VARCHAR primary key, digest VARCHAR);
create table if not exists raw.files (
    source VARCHAR, day DATE, source_file_id VARCHAR, path VARCHAR, n_bytes BIGINT,
    n_rows INTEGER, n_quarantined INTEGER, loaded_at TIMESTAMP);
create table if not exists raw.quarantine (
    source VARCHAR, day DATE, source_file_id VARCHAR, row_number INTEGER,
    column_name VARCHAR, value VARCHAR, rule VARCHAR, loaded_at TIMESTAMP);
create table if not exists raw.drift (
    source VARCHAR, day DATE, source_file_id VARCHAR, kind VARCHAR, column_name VARCHAR,
    found VARCHAR, expected VARCHAR, action VARCHAR, loaded_at TIMESTAMP);
"""
    + fingerprints.TABLES
)


@dataclass(frozen=True)
class Held:
    """A version already in raw, with its counts."""

    version: Version
    n_bytes: int
    n_rows: int
    n_quarantined: int


def make_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that all sources share, where they are not there."""
    con.execute(_TABLES)


def prepare(con: duckdb.DuckDBPyConnection, source: Source, anew: bool) -> bool:
    """Make the source's table and views as declared; True when raw must be filled from the kept copies.

    That is so when the source has no rows here yet, when its rows were made by another declaration, and when
    they are wanted `anew`; rows there are then dropped.
    """
    make_tables(con)
    known = con.execute("select digest from raw.declarations where source = ?", [source.name]).fetchone()
    if known == (source.digest(),) and not anew:
        return False
    forget(con, source.name)
    columns = ", ".join(f"{name} {sql_type}" for name, sql_type in source.raw_columns().items())
    con.execute(f"create table raw.{source.name} ({columns})")
    con.execute(versions_view(source))
    con.execute(current_view(source))
    con.execute("insert into raw.declarations values (?, ?)", [source.name, source.digest()])
    return True


def forget(con: duckdb.DuckDBPyConnection, source: str) -> None:
    """Drop all that raw holds of a source."""
    make_tables(con)
    for view in ("current", "versions"):
        con.execute(f"drop view if exists raw.{source}_{view}")
    con.execute(f"drop table if exists raw.{source}")
    for table in ("files", "quarantine", "drift", "fingerprints", "categories", "declarations"):
        con.execute(f"delete from raw.{table} where source = ?", [source])


def held(con: duckdb.DuckDBPyConnection, source: Source, days: Iterable[date | None]) -> dict[Version, Held]:
    """The versions of `days` that raw holds."""
    rows = con.execute(
        "select loaded_at, source_file_id, day, n_bytes, n_rows, n_quarantined from raw.files "
        "where source = ? and (day is null or list_contains(?, day)) order by loaded_at",
        [source.name, [day for day in days if day]],
    ).fetchall()
    versions = {Version(row[0], row[1], row[2], source.format.type): row[3:] for row in rows}
    return {version: Held(version, *counts) for version, counts in versions.items()}


def record(con: duckdb.DuckDBPyConnection, source: str, stored: Sequence[Held], paths: Sequence[str]) -> None:
    """Note versions whose rows were inserted; `paths` are their kept copies', under the home folder."""
    con.register(
        "_stored",
        pa.table(
            {
                "day": pa.array([held.version.day for held in stored], pa.date32()),
                "source_file_id": pa.array([held.version.sha256 for held in stored], pa.string()),
                "path": pa.array(paths, pa.string()),
                "n_bytes": pa.array([held.n_bytes for held in stored], pa.int64()),
                "n_rows": pa.array([held.n_rows for held in stored], pa.int32()),
                "n_quarantined": pa.array([held.n_quarantined for held in stored], pa.int32()),
                "loaded_at": pa.array([held.version.loaded_at for held in stored], pa.timestamp("us")),
            }
        ),
    )
    con.execute(
        "insert into raw.files "
        "select ?, day, source_file_id, path, n_bytes, n_rows, n_quarantined, loaded_at from _stored",
        [source],
    )
    con.unregister("_stored")


def next_stamp(con: duckdb.DuckDBPyConnection, kept: Iterable[Version]) -> datetime:
    """Now (UTC, naive), but later than every version there is, whatever the clock did."""
    row = con.execute("select max(loaded_at) from raw.files").fetchone()
    last: list[datetime] = [row[0]] if row and row[0] else []
    last += [version.loaded_at for version in kept]
    now = datetime.now(UTC).replace(tzinfo=None)
    return max([now, *(stamp + timedelta(microseconds=1) for stamp in last)])


def make_lookups(con: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Temporary tables `_lookup_<name>` (key, value, since, until): every version, so that a file is always
    read with the version that was there when it was first taken in. Also makes the clock macros."""
    zones: set[str] = set()
    for lookup in source.lookups:
        _check_lookup(con, source, lookup)
        also = pa.table({"key": list(lookup.also), "value": list(lookup.also.values())})
        also = also.cast(pa.schema({"key": pa.string(), "value": pa.string()}))
        con.register("_also", also)
        con.execute(f"""
            create or replace temp table _lookup_{lookup.name} as
            with versions as (
                select source_file_id, loaded_at, case when lag(loaded_at) over w is null then '-infinity'
                    else loaded_at end::timestamp as since, lead(loaded_at, 1, 'infinity') over w as until
                from raw.files where source = '{lookup.source}' window w as (order by loaded_at)
            ),
            found as (
                select {lookup.key} as key, any_value({lookup.value}) as value, since, until
                from raw.{lookup.source} join versions using (source_file_id, loaded_at)
                group by all having value is not null
            )
            select * from found union all
            select key, value, since, until from _also cross join versions
            where (key, since) not in (select (key, since) from found)
        """)
        con.unregister("_also")
        values = con.execute(f"select distinct value from _lookup_{lookup.name} limit 100").fetchall()
        zones.update(str(value) for (value,) in values)
    clocks.install(con, zones)


def _check_lookup(con: duckdb.DuckDBPyConnection, source: Source, lookup: Lookup) -> None:
    if not con.execute("select 1 from raw.files where source = ? limit 1", [lookup.source]).fetchone():
        raise LookupMissing(source.name, lookup.name, lookup.source)
    known = [name for name, *_ in con.execute(f"describe raw.{lookup.source}").fetchall()]
    for field, column in (("key", lookup.key), ("value", lookup.value)):
        if column not in known:
            expected = f'a column of source "{lookup.source}". {nearest(column, known)}'
            raise BadDeclaration(source.name, "", f"lookups.{lookup.name}.{field}", column, expected)

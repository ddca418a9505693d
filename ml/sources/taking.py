"""Taking landed files in: once each, whole or not at all, others going on when one is refused.

What a declaration says and how cells are read does not belong here.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from ml.errors import FileRefused, FilesRefused
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import kept, raw
from ml.sources.declaration import Source
from ml.sources.filling import Arrived, Filled, fill
from ml.sources.kept import Version
from ml.sources.landed import Outcome, day_of, recalled_files, remember
from ml.sources.recalled import recalls


@dataclass(frozen=True)
class TakenIn:
    """A landed file that is in raw: its bytes by SHA-256, and how many rows went where."""

    path: Path
    day: date | None
    source_file_id: str
    loaded_at: datetime
    n_bytes: int
    n_rows: int
    n_quarantined: int


@dataclass(frozen=True)
class Intake:
    """What one call did with each landed file."""

    source: str
    taken: tuple[TakenIn, ...]
    unchanged: tuple[TakenIn, ...]
    failed: tuple[FileRefused, ...]

    def raise_failed(self) -> "Intake":
        """This intake when no file was refused; raises FilesRefused otherwise."""
        if self.failed:
            raise FilesRefused(self.source, self.failed, len(self.taken) + len(self.unchanged))
        return self


@dataclass(frozen=True)
class _File:
    path: Path
    day: date | None
    data: bytes
    mtime_ns: int
    sha256: str
    refused: FileRefused | None
    is_recalled: bool


def take_in(
    workshop: Workshop,
    settings: Settings,
    source: Source,
    paths: Iterable[Path],
    *,
    anew: bool = False,
    wait_s: float = 600,
) -> Intake:
    """Take landed files into raw, in one turn and one transaction.

    Bytes that are current for their day change nothing; other bytes become a newer version beside the old. A
    file that cannot be taken in is reported in `failed` and stays where it is. May be killed at any moment:
    copies are kept before the rows are committed, and the next call takes in what was kept and not stored.
    With `anew`, or after the declaration changed, all the source's rows are made again from the kept copies.
    Raises LookupMissing when a source that this one looks values up in has nothing yet.
    """
    files, failed = _read(settings, source, paths)
    with workshop.turn(wait_s):
        con = workshop.connect()
        try:
            con.begin()
            before, filled, version_of = _store(con, settings, source, files, anew)
            con.commit()
        finally:
            con.close()
    told_before = recalled_files(settings, source).keys()  # once is enough: other days go on
    taken: list[TakenIn] = []
    unchanged: list[TakenIn] = []
    outcomes: list[Outcome] = []
    for file in files:
        version = version_of.get(file.path)
        refused = file.refused or (filled.refused.get(version) if version else None)
        if refused and file.path not in told_before:
            failed.append(refused)
        elif version:
            told = _told(file.path, filled.held[version])
            (unchanged if version in before else taken).append(told)
        message = str(refused) if refused else ""
        outcome: Outcome = Outcome(
            file.path,
            len(file.data),
            file.mtime_ns,
            file.sha256,
            "recalled" if file.is_recalled else "failed" if refused else "taken",
            message,
        )
        outcomes.append(outcome)
    failed += [error for version, error in filled.refused.items() if version not in version_of.values()]
    remember(settings, source, outcomes)
    return Intake(source.name, tuple(taken), tuple(unchanged), tuple(failed))


def _read(settings: Settings, source: Source, paths: Iterable[Path]) -> tuple[list[_File], list[FileRefused]]:
    files, gone, recalled = [], [], recalls(settings)
    for path in sorted(set(paths)):
        try:
            mtime_ns, data = path.stat().st_mtime_ns, path.read_bytes()
        except OSError as error:
            gone.append(FileRefused(path, f"it cannot be read: {error.strerror}", "a readable file"))
            continue
        day, refused, sha256 = None, None, hashlib.sha256(data).hexdigest()
        try:
            day = day_of(source, path)
        except FileRefused as error:
            refused = error
        recall = recalled.get((source.name, sha256))
        refused = recall.refusal(path) if recall else refused
        files.append(_File(path, day, data, mtime_ns, sha256, refused, is_recalled=recall is not None))
    return files, gone


def _store(
    con: duckdb.DuckDBPyConnection, settings: Settings, source: Source, files: Sequence[_File], anew: bool
) -> tuple[set[Version], Filled, dict[Path, Version]]:
    """Fill raw with what was kept but not stored, then with what is new.

    Gives the versions raw held before, those it holds now or refused, and the version each path stands for.
    """
    refill = raw.prepare(con, source, anew)
    days = {file.day for file in files if not file.refused}
    if refill:
        days.update(kept.days_kept(settings, source.name))
    copies = {version for day in days for version in kept.versions(settings, source.name, day)}
    before = raw.held(con, source, days)
    newest: dict[date | None, Version] = {}
    arrived = []
    for version in sorted(copies | before.keys()):
        if version not in before:
            path, data = (
                kept.path_of(settings, source.name, version),
                kept.read(settings, source.name, version),
            )
            arrived.append(Arrived(path, version, data, is_correction=version.day in newest))
        newest[version.day] = version
    version_of = _add_new(source, files, newest, raw.next_stamp(con, newest.values()), arrived)
    if arrived:
        raw.make_lookups(con, source)
    filled = fill(con, source, arrived)
    for file in arrived:
        if file.version in filled.held and file.version not in copies:
            kept.keep(settings, source.name, file.version, file.data)
    paths = [kept.path_of(settings, source.name, version) for version in filled.held]
    stored = tuple(filled.held.values())
    raw.record(con, source.name, stored, [str(path.relative_to(settings.home)) for path in paths])
    filled.held.update(before)
    return set(before), filled, version_of


def _add_new(
    source: Source,
    files: Sequence[_File],
    newest: dict[date | None, Version],
    stamp: datetime,
    arrived: list[Arrived],
) -> dict[Path, Version]:
    """Add to `arrived` the files whose bytes are not their day's newest version; the version of each path."""
    version_of = {}
    for file in files:
        if file.refused:
            continue
        version = newest.get(file.day)
        if version is None or version.sha256 != file.sha256:
            is_correction = version is not None
            version = newest[file.day] = Version(stamp, file.sha256, file.day, source.format.type)
            arrived.append(Arrived(file.path, version, file.data, is_correction))
            stamp += timedelta(microseconds=1)
        version_of[file.path] = version
    return version_of


def _told(path: Path, held: raw.Held) -> TakenIn:
    version = held.version
    return TakenIn(
        path, version.day, version.sha256, version.loaded_at, held.n_bytes, held.n_rows, held.n_quarantined
    )

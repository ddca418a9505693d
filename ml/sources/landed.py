"""Files as they lie in landing, and the memory of which of them were dealt with.

What is inside a file does not belong here.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from ml.errors import FileRefused
from ml.settings import Settings
from ml.sources.declaration import Source

_UNFINISHED = (".tmp", ".part", ".new", ".crdownload")
_RACY_NS = 2_000_000_000  # a file changed this shortly before it was looked at may change again unseen
_TABLE = """
create table if not exists landed (
    path text primary key, size integer, mtime_ns integer, seen_ns integer,
    sha256 text, outcome text, declaration text, message text)
"""


@dataclass(frozen=True)
class Landed:
    """A file that waits to be taken in; `day` is None for a source with cadence once."""

    path: Path
    day: date | None
    refused: FileRefused | None = None  # its name already says that it cannot be taken in


@dataclass(frozen=True)
class Outcome:
    """What became of a landed file's bytes."""

    path: Path
    size: int
    mtime_ns: int
    sha256: str
    outcome: Literal["taken", "failed", "recalled"]
    message: str = ""


def day_of(source: Source, path: Path) -> date | None:
    """The day that the file's name gives, None for cadence once. Raises FileRefused."""
    suffix = source.format.type
    if not source.every_days:
        if path.name != f"{source.name}.{suffix}":
            wanted = f'"{source.name}.{suffix}"'
            raise FileRefused(path, f'the name "{path.name}" is not this source\'s', wanted)
        return None
    try:
        day = datetime.strptime(path.name, f"%Y-%m-%d.{suffix}").replace(tzinfo=UTC).date()
    except ValueError:
        day = None
    if day is None or path.stem != day.isoformat():
        wanted = f'"<YYYY-MM-DD>.{suffix}" with a real date'
        raise FileRefused(path, f'the name "{path.stem}" is not a day', wanted)
    last = source.end or datetime.now(UTC).date() + timedelta(days=1)
    if source.start and day < source.start:
        raise FileRefused(path, f"the day {day} lies before the source starts", f"{source.start} or later")
    if day > last:
        raise FileRefused(path, f"the day {day} lies after the last day allowed", f"{last} or earlier")
    if source.start and (day - source.start).days % source.every_days:
        wanted = f"the first day of a week, a {source.start:%A}"
        raise FileRefused(path, f"the day {day} is a {day:%A}", wanted)
    return day


def pending(settings: Settings, source: Source) -> list[Landed]:
    """Landed files whose bytes have not been dealt with yet, by name. Never opens the workshop.

    Costs one stat a file; bytes are read only when a file's size or time changed. A refused file comes back
    when its bytes or the source's declaration change; every file does when the workshop is gone.
    """
    folder = settings.landing / source.name
    if not folder.is_dir():
        return []
    known = _known(settings, folder)
    if not (settings.home / "workshop.duckdb").exists():
        known = {path: seen for path, seen in known.items() if seen["outcome"] == "recalled"}
    touched: list[tuple[int, int, int, str, str]] = []
    rules = _rules(source)
    waiting = [path for path in _files(folder) if _is_due(known.get(str(path)), path, rules, touched)]
    if touched:
        with _memory(settings) as memory:
            memory.executemany(
                "update landed set size = ?, mtime_ns = ?, seen_ns = ? where path = ? and sha256 = ?", touched
            )
    return [_landed(source, path) for path in waiting]


def remember(settings: Settings, source: Source, outcomes: Iterable[Outcome]) -> None:
    """Note what became of landed files, so that `pending` leaves them out until they change."""
    now, rules = time.time_ns(), _rules(source)
    rows = [(str(o.path), o.size, o.mtime_ns, now, o.sha256, o.outcome, rules, o.message) for o in outcomes]
    with _memory(settings) as memory:
        memory.executemany("insert or replace into landed values (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def taken(settings: Settings, source: Source) -> dict[Path, str]:
    """SHA-256 of the landed files that were taken in and still lie there."""
    return _still_lying(settings, source, "sha256", "taken")


def failed(path: Path, error: FileRefused) -> Outcome:
    """The outcome of a file that is refused for its name, before anything in it is read."""
    told = path.stat()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Outcome(path, told.st_size, told.st_mtime_ns, sha256, "failed", str(error))


def failures(settings: Settings, source: Source) -> dict[Path, str]:
    """Messages of the landed files that were refused and still lie there."""
    return _still_lying(settings, source, "message", "failed")


def recalled_files(settings: Settings, source: Source) -> dict[Path, str]:
    """Messages of the landed files whose bytes were recalled; they keep no day waiting."""
    return _still_lying(settings, source, "message", "recalled")


def reconsider(settings: Settings, source: str, sha256: str, message: str) -> None:
    """Landed files with recalled bytes are left out from now on; refused ones are to be tried again.

    What a file is refused for may be what the recalled one said.
    """
    with _memory(settings) as memory:
        inside = f"{settings.landing / source}{os.sep}%"
        memory.execute(
            "update landed set outcome = 'recalled', message = ? where sha256 = ? and path like ?",
            [message, sha256, inside],
        )
        memory.execute("delete from landed where outcome = 'failed' and path like ?", [inside])


def _still_lying(settings: Settings, source: Source, column: str, outcome: str) -> dict[Path, str]:
    with _memory(settings) as memory:
        rows = memory.execute(
            f"select path, {column} from landed where outcome = ? and path like ? order by path",
            [outcome, f"{settings.landing / source.name}{os.sep}%"],
        ).fetchall()
    return {Path(path): told for path, told in rows if Path(path).exists()}


def _landed(source: Source, path: Path) -> Landed:
    try:
        return Landed(path, day_of(source, path))
    except FileRefused as error:
        return Landed(path, None, error)


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_file() and not entry.name.startswith(".") and not entry.name.endswith(_UNFINISHED):
            yield Path(entry.path)


def _rules(source: Source) -> str:
    """Changes with all of the declaration that a file can be refused for."""
    return f"{source.digest()} {source.start} {source.end}"


def _is_due(
    seen: sqlite3.Row | None, path: Path, rules: str, touched: list[tuple[int, int, int, str, str]]
) -> bool:
    """Whether a file's bytes are to be dealt with; same bytes under another time are added to `touched`."""
    if seen is None or (seen["outcome"] == "failed" and seen["declaration"] != rules):
        return True
    try:
        now, looked_at = path.stat(), time.time_ns()
        unchanged = (now.st_size, now.st_mtime_ns) == (seen["size"], seen["mtime_ns"])
        if unchanged and seen["mtime_ns"] < seen["seen_ns"] - _RACY_NS:
            return False
        if hashlib.sha256(path.read_bytes()).hexdigest() != seen["sha256"]:
            return True
    except FileNotFoundError:
        return False
    touched.append((now.st_size, now.st_mtime_ns, looked_at, str(path), seen["sha256"]))
    return False


def _known(settings: Settings, folder: Path) -> dict[str, sqlite3.Row]:
    with _memory(settings) as memory:
        rows = memory.execute("select * from landed where path like ?", [f"{folder}{os.sep}%"]).fetchall()
    return {row["path"]: row for row in rows}


@contextmanager
def _memory(settings: Settings) -> Iterator[sqlite3.Connection]:
    folder = settings.home / "files"
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "landed.db", timeout=30)) as memory, memory:
        memory.row_factory = sqlite3.Row
        memory.execute(_TABLE)
        yield memory

"""Kept copies of the files that were taken in: the ground from which raw can be made again.

What is inside a file does not belong here.
"""

import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from ml.errors import KeptCopyDamaged
from ml.settings import Settings

_STAMP = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, order=True)
class Version:
    """A version of a source's file for a day: when it was taken in (UTC, naive) and its bytes' SHA-256."""

    loaded_at: datetime
    sha256: str
    day: date | None
    suffix: str = field(default="csv", compare=False)  # of the copy, which is called as its format


def days_kept(settings: Settings, source: str) -> list[date | None]:
    """The days that have at least one kept copy, in order."""
    folder = settings.home / "files" / source
    names = sorted(entry.name for entry in os.scandir(folder)) if folder.is_dir() else []
    return [None if name == "once" else date.fromisoformat(name) for name in names]


def versions(settings: Settings, source: str, day: date | None) -> list[Version]:
    """The kept versions of a day, oldest first."""
    folder = _folder(settings, source, day)
    names = [entry.name for entry in os.scandir(folder)] if folder.is_dir() else []
    return sorted(_version(name, day) for name in names if not name.endswith(".part"))


def path_of(settings: Settings, source: str, version: Version) -> Path:
    """Where a version's copy lies."""
    return settings.home / "files" / source / name_of(version)


def name_of(version: Version) -> str:
    """What a version's copy is called within its source."""
    return f"{version.day or 'once'}/{version.loaded_at.strftime(_STAMP)}-{version.sha256}.{version.suffix}"


def version_of(name: str) -> Version:
    """The version that is called so."""
    day, _, file = name.partition("/")
    return _version(file, None if day == "once" else date.fromisoformat(day))


def keep(settings: Settings, source: str, version: Version, data: bytes) -> None:
    """Write the copy; it is there whole or not at all."""
    path = path_of(settings, source, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.rename(path)


def read(settings: Settings, source: str, version: Version) -> bytes:
    """The bytes of a kept copy. Raises KeptCopyDamaged when they are not those that were taken in."""
    path = path_of(settings, source, version)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != version.sha256:
        raise KeptCopyDamaged(path, version.sha256)
    return data


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _folder(settings: Settings, source: str, day: date | None) -> Path:
    return settings.home / "files" / source / (day.isoformat() if day else "once")


def _version(name: str, day: date | None) -> Version:
    called, _, suffix = name.rpartition(".")
    stamp, sha256 = called.split("-", 1)
    loaded_at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).replace(tzinfo=None)
    return Version(loaded_at, sha256, day, suffix)

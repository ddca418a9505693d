"""Files that were recalled: which, when, by whom and why, and their copies, set aside.

What a file reached, and what follows from a recall, does not belong here.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from ml.errors import FileRefused, NoSuchFile, SeveralFiles
from ml.settings import Settings
from ml.sources import kept
from ml.sources.kept import Version

_LEAST = 6  # digits of a SHA-256 that may stand for it


@dataclass(frozen=True)
class Found:
    """Bytes that were taken in for a source, as all the versions that they were, oldest first."""

    source: str
    sha256: str
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class Recall:
    """A recall, under way or done.

    `names` are the copies that were set aside. `before` has by source and day (`once` for none) a digest of
    raw's rows before, so that a recall that was killed still knows which changed. `retrain` are the models to
    train again, `trained` what came of it. `is_done`: nothing is left to do.
    """

    source: str
    sha256: str
    reason: str
    actor: str
    at: datetime
    names: tuple[str, ...]
    before: dict[str, dict[str, str]]
    retrain: tuple[str, ...] = ()
    trained: dict[str, str] | None = None
    is_done: bool = False

    def refusal(self, path: Path) -> FileRefused:
        """Why a file with these bytes is not taken in."""
        found = f"these bytes were recalled on {self.at:%Y-%m-%d %H:%M} UTC because: {self.reason}"
        return FileRefused(path, found, "a file with other bytes")


def find(settings: Settings, sources: Collection[str], wanted: str) -> Found:
    """What a landed file, a copy of one, the name of a copy, or the beginning of a SHA-256 stands for.

    Raises NoSuchFile or SeveralFiles.
    """
    known: dict[tuple[str, str], list[Version]] = {}
    for source in sources:
        for version in _versions(settings, source):
            known.setdefault((source, version.sha256), []).append(version)
    path = Path(wanted)
    folders: set[str] = set()
    if path.is_file():
        sha256 = kept.sha256_of(path)
        folders = {path.resolve().parent.name, path.resolve().parent.parent.name} & set(sources)
    else:
        sha256 = path.name.partition(".")[0].rpartition("-")[2].lower()
    hits = [
        (source, found)
        for source, found in known
        if len(sha256) >= _LEAST and found.startswith(sha256) and (not folders or source in folders)
    ]
    if not hits:
        raise NoSuchFile(wanted)
    if len(hits) > 1:
        raise SeveralFiles(wanted, [f"{found[:12]} of {source}" for source, found in hits])
    return Found(*hits[0], tuple(sorted(set(known[hits[0]]))))


def path_of(settings: Settings, source: str, name: str) -> Path:
    """Where a copy that was set aside lies."""
    return settings.home / "recalled" / source / name


def recalls(settings: Settings) -> dict[tuple[str, str], Recall]:
    """Every recall by source and SHA-256, also one that was killed before it was done."""
    folder = settings.home / "recalled"
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    found = [_recall(json.loads(file.read_text())) for file in files]
    return {(one.source, one.sha256): one for one in found}


def note(settings: Settings, recall: Recall) -> Recall:
    """Write down how far a recall is; it is there whole or not at all."""
    file = settings.home / "recalled" / f"{recall.source}-{recall.sha256}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(recall) | {"at": recall.at.isoformat()}, indent=1))
    part.rename(file)
    return recall


def set_aside(settings: Settings, recall: Recall) -> Recall:
    """Move the copies out of those that raw is made from; a second time changes nothing.

    A copy that then only repeats the one before it would never have been kept, and is moved too.
    """
    days = {kept.version_of(name).day for name in recall.names}
    names = list(recall.names)
    for day in sorted(days, key=str):
        before = None
        for version in kept.versions(settings, recall.source, day):
            if version.sha256 in {recall.sha256, before}:
                names.append(kept.name_of(version))
            else:
                before = version.sha256
    recall = note(settings, replace(recall, names=tuple(dict.fromkeys(names))))
    for name in recall.names:
        here, there = settings.home / "files" / recall.source / name, path_of(settings, recall.source, name)
        if here.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            here.rename(there)
    return recall


def _versions(settings: Settings, source: str) -> Iterator[Version]:
    for day in kept.days_kept(settings, source):
        yield from kept.versions(settings, source, day)
    aside = settings.home / "recalled" / source
    for file in sorted(aside.glob("*/*")):
        yield kept.version_of(f"{file.parent.name}/{file.name}")


def _recall(told: dict[str, object]) -> Recall:
    values = dict(told)
    values["at"] = datetime.fromisoformat(str(told["at"]))
    for name in ("names", "retrain"):
        values[name] = tuple(told[name])  # type: ignore[arg-type]
    return Recall(**values)  # type: ignore[arg-type]

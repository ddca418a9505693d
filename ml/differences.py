"""In what a version's inputs differ from those it was made from: each by its name, with the way out.

Which inputs there are is said in `provenance`; looking at them is `reproduction`'s.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ml.provenance import Environment, Partitions

_NONE = "none"


@dataclass(frozen=True)
class Difference:
    """One input as recorded and as found; `days` are those that differ, where it is a table."""

    kind: str
    name: str
    recorded: str
    found: str
    way_out: str = ""
    days: tuple[date, ...] = ()

    def __str__(self) -> str:
        way_out = f" {self.way_out}" if self.way_out else ""
        return f"{self.kind} {self.name}: recorded {self.recorded}, found {self.found}.{way_out}"

    @classmethod
    def of_file(
        cls, source: str, day: date | None, kept: Path, recorded: str, found: str | None
    ) -> "Difference":
        """A kept copy that is gone (None), or has other bytes."""
        return cls(
            "file",
            f"{source} {day}" if day else source,
            f"SHA-256 {recorded}",
            f"SHA-256 {found}" if found else "no file",
            f'Put a copy with those bytes at "{kept}".',
        )

    @classmethod
    def of_declaration(cls, source: str, made_by: str, found: str) -> "Difference":
        """Raw rows that were made by another declaration than was declared when the model was trained."""
        return cls("source", source, f"declaration {made_by or _NONE}", f"declaration {found}")

    @classmethod
    def of_snapshot(cls, edition: int, snapshots: Mapping[str, int], reason: str) -> "Difference":
        """An edition that can't be read any more."""
        listed = ", ".join(f"{table} {snapshot}" for table, snapshot in sorted(snapshots.items()))
        way_out = "A snapshot that is gone comes back from a copy of the warehouse and its catalog only."
        return cls("snapshot", f"of edition {edition}", listed, f"none that can be read ({reason})", way_out)


def of_partitions(recorded: Partitions, found: Mapping[date, str], where: str) -> Difference:
    """The days of a table that have other rows; none of them when all are as they were."""
    days = {day for day, _ in recorded.days.items() ^ found.items()}
    first = min(days, default=None)
    return Difference(
        "table",
        f"{recorded.table}, {where}, {len(days)} of {len(recorded.days)} days, first {first}",
        f"rows {recorded.days.get(first, _NONE) if first else _NONE}",
        f"rows {found.get(first, _NONE) if first else _NONE}",
        days=tuple(sorted(days)),
    )


def of_environment(recorded: Environment, now: Environment) -> Iterator[Difference]:
    """What runs now and did not then."""
    for name in sorted(recorded.versions.keys() | now.versions.keys()):
        then, here = (of.versions.get(name, _NONE) for of in (recorded, now))
        if then != here:
            way_out = f"Install {name} {then}, as the recorded requirements.lock does."
            yield Difference("library", name, then, here, way_out)
    if recorded.machine != now.machine:
        way_out = "Equality to the bit is promised on one kind of machine: run it on one of the recorded."
        yield Difference("machine", "kind", recorded.machine, now.machine, way_out)
    if recorded.lock_sha256 != now.lock_sha256:
        then, here = (f"SHA-256 {of.lock_sha256}" if of.lock_sha256 else _NONE for of in (recorded, now))
        yield Difference("lock", "requirements.lock", then, here, "Install from that of the recorded commit.")
    if (recorded.commit, recorded.is_changed) != (now.commit, now.is_changed):
        way_out = f"Check {recorded.commit} out to run the code that trained." if recorded.commit else ""
        yield Difference("code", "commit", _commit(recorded), _commit(now), way_out)


def _commit(of: Environment) -> str:
    return f"{of.commit}{' with changes' if of.is_changed else ''}" if of.commit else _NONE

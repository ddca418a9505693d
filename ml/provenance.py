"""What a version was made from, by name and digest: enough to make it again.

It lies beside what names the version, not in it: the same training rows by the same code are the same model,
whichever edition they were read from. Gathering it is `gathering`'s, making again `reproduction`'s.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ml import canonical
from ml.feature_definition import FeatureDefinition
from ml.proofs.rebuild import Table
from ml.training_set import Manifest

FILE = "provenance.json"


@dataclass(frozen=True)
class DeclaredSource:
    """How files became raw rows: the declaration, and the digest of that which raw's rows were made by.

    It is JSON text, since the order in it counts: what is derived is derived one after the other.
    """

    declaration: str
    made_by: str


@dataclass(frozen=True)
class Ground:
    """What the tables of an edition stood on: all files that counted then, by source.

    A file is called as its kept copy, `<day>/<loaded_at>-<SHA-256>.<format>`; of a day every version counts
    up to the one it was computed from. `uncounted` were taken in before others that count, and no table was
    made from them yet; what was taken in later may have been read by their light.
    """

    files: Mapping[str, tuple[str, ...]]
    uncounted: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, DeclaredSource]


@dataclass(frozen=True)
class Partitions:
    """The columns that were read of a published table, and a hash of their rows day by day."""

    table: str
    key: str
    columns: tuple[str, ...]
    days: Mapping[date, str]


@dataclass(frozen=True)
class CompiledTable:
    """What `ml.proofs.rebuild.Table` needs to be built again; `types` are its columns, in order."""

    schema: str
    name: str
    sql: str
    is_view: bool
    is_by_day: bool
    reach_days: int
    types: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, table: Table) -> "CompiledTable":
        """What is kept of a table."""
        kept = {name: getattr(table, name) for name in cls.__dataclass_fields__ if name != "types"}
        return cls(**kept, types=tuple(table.types.items()))

    @property
    def table(self) -> Table:
        """The table to build."""
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Table(**kept | {"types": dict(self.types)})


@dataclass(frozen=True)
class CompiledSql:
    """The tables that the rows are from, and all that these are made from, upstream first.

    Compiled for `first_day` to `last_day`: the days that were read, and those that these look at.
    """

    first_day: date
    last_day: date
    tables: tuple[CompiledTable, ...]
    sha256: str

    @classmethod
    def of(cls, first_day: date, last_day: date, tables: Iterable[Table]) -> "CompiledSql":
        """With one digest of all of it."""
        kept = tuple(map(CompiledTable.of, tables))
        return cls(first_day, last_day, kept, canonical.digest(canonical.dumps(kept)))


@dataclass(frozen=True)
class Origins:
    """Where the rows of a training set come from."""

    manifest: Manifest
    ground: Ground
    partitions: tuple[Partitions, ...]
    sql: CompiledSql

    @property
    def n_files(self) -> int:
        """How many raw files counted."""
        return sum(map(len, self.ground.files.values()))


@dataclass(frozen=True)
class Environment:
    """What ran: library versions, machine, SHA-256 of the lock file, commit of the code.

    None where there is no lock file, or no repository; `is_changed`: files differed from the commit.
    """

    versions: Mapping[str, str]
    machine: str
    lock_sha256: str | None
    commit: str | None
    is_changed: bool


@dataclass(frozen=True)
class Provenance:
    """All that a version was made from, and the digests that tell whether it is made again.

    Another `format` is another way of hashing rows, or of naming what is named.
    """

    origins: Origins
    definition: FeatureDefinition
    environment: Environment
    trees_sha256: str
    predictions_sha256: str
    format: Literal[1] = 1

    def told(self) -> list[tuple[str, str]]:
        """Each input in words, and what names it."""
        origins, ran = self.origins, self.environment
        manifest, files = origins.manifest, origins.ground.files
        tables = [
            (f"{one.table}, {len(one.days)} days", canonical.digest(canonical.dumps(one)))
            for one in origins.partitions
        ]
        return [
            (f"edition {manifest.edition_id} of the lake", ", ".join(map(str, manifest.snapshots.values()))),
            *tables,
            *((f"{len(names)} files of {of}", _digest(names)) for of, names in files.items()),
            (f"SQL of {len(origins.sql.tables)} tables", origins.sql.sha256),
            ("requirements.lock", ran.lock_sha256 or "none"),
            ("commit, with changes" if ran.is_changed else "commit", ran.commit or "none"),
            ("machine", ran.machine),
            *((name, version) for name, version in sorted(ran.versions.items())),
            ("predictions on the test rows", self.predictions_sha256),
        ]

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Provenance":
        """Read what `to_json` gave; raises pydantic.ValidationError when it isn't that."""
        return canonical.loads(cls, text)


def pin(model: str, version: str) -> str:
    """The tag of the edition that a version was made from."""
    return f"{model}/{version[:12]}"


def _digest(names: tuple[str, ...]) -> str:
    return canonical.digest("\n".join(names))

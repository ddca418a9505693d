"""A real project in a folder: published tables, registry, ledger, and Bentos packed from them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from ml.bundle import Bundle
from ml.lake.editions import Edition
from ml.lake.published import PublishBatch, Published
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.promotion import roll_back
from ml.registry import Registry
from ml.settings import Settings
from services.settings import ServingSettings
from tests.project_folder import settings_in
from tests.services import toy

SETTINGS = ServingSettings(
    packed=Path(),
    host="127.0.0.1",
    port=0,
    workers=1,
    threads=1,
    max_instances=10,
    max_body_bytes=1000,
    max_model_bytes=2**26,
    max_row_ms=100,
    ahead=timedelta(days=7),
    follow=True,
    poll_s=0.01,
)


@dataclass(frozen=True)
class Project:
    """What a user of the project does to it, in one call each."""

    settings: Settings

    @classmethod
    def in_folder(cls, folder: Path) -> "Project":
        """An empty project."""
        return cls(settings_in(folder, project=folder))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find this project."""
        return {"HEADWATER_PROJECT": str(self.settings.project), "HEADWATER_HOME": str(self.settings.home)}

    def publish(self, speeds: pa.Table) -> Edition:
        """Replace the online table."""
        days = sorted(speeds.column("day").unique().to_pylist())
        batch = PublishBatch(speeds, days[0], days[-1])
        return Published(self.settings).publish({"int_zone_speed": batch})

    def register(self, bundle: Bundle) -> None:
        """Store a version and note it."""
        uri = Registry(self.settings.registry).put(bundle)
        with Ledger(self.settings.ledger_url).transaction() as act:
            act.register(bundle.model, bundle.version, uri, {}, "test")

    def promote(self, version: str, model: str = toy.MODEL) -> None:
        """Make a registered version the champion."""
        with Ledger(self.settings.ledger_url).transaction() as act:
            before = act.champion(model)
            expected = before.version if before else None
            act.promote(model, version, expected=expected, reason="test", details={}, actor="test")

    def roll_back(self, to: str | None = None) -> None:
        """Go back to the champion before, or to another that was one."""
        ledger, registry = Ledger(self.settings.ledger_url), Registry(self.settings.registry)
        roll_back(ledger, registry, toy.MODEL, to, reason="test", actor="test")

    def loaded(self, model: str = toy.MODEL) -> list[str]:
        """The versions that the ledger says were loaded, oldest first."""
        return [entry.version for entry in self.history(model) if entry.kind == "loaded"]

    def history(self, model: str = toy.MODEL) -> list[Entry]:
        """All that the ledger says of a model, oldest first."""
        return list(Ledger(self.settings.ledger_url).history(model))

    def damage(self, version: str, model: str = toy.MODEL) -> None:
        """Change one byte of a stored version's trees."""
        trees = (
            Path(self.settings.registry.removeprefix("file://")) / model / version / "bundle" / "trees.txt"
        )
        trees.write_bytes(trees.read_bytes().replace(b"tree", b"tref", 1))

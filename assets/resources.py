"""The thin typed shells through which assets get plain library objects.

No logic: each one names what it hands over and where it comes from.
"""

import json
from pathlib import Path
from typing import Any

import dagster as dg

from assets.dbt_runner import DbtRunner
from ml.lake.published import Published
from ml.lake.workshop import Workshop
from ml.ledger import Ledger
from ml.registry import Registry
from ml.settings import Settings


class Platform(dg.ConfigurableResource):
    """Everything an asset may touch, from the settings of this process."""

    @property
    def settings(self) -> Settings:
        return Settings.from_env()

    def workshop(self) -> Workshop:
        return Workshop(self.settings)

    def published(self) -> Published:
        return Published(self.settings)

    def registry(self) -> Registry:
        return Registry(self.settings.registry)

    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger_url)


class JsonValues(dg.ConfigurableIOManager):
    """Hands small values from asset to asset as JSON files; tables never pass this way."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        if obj is None:
            return
        file = self._file(context.asset_key)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(obj, indent=1, sort_keys=True))
        part.rename(file)

    def load_input(self, context: dg.InputContext) -> Any:
        return json.loads(self._file(context.asset_key).read_text())

    def _file(self, key: dg.AssetKey) -> Path:
        return Settings.from_env().home / "values" / Path(*key.path).with_suffix(".json")


__all__ = ["DbtRunner", "JsonValues", "Platform"]

"""Where a project keeps its state, read once from the environment.

No file is opened and no folder is made here.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Places and addresses of one project.

    `home` holds all state that `make up` makes; `landing` holds the files as they arrive. The `*_url`s are
    SQLAlchemy URLs, `warehouse` and `registry` are fsspec URLs.
    """

    project: Path
    home: Path
    landing: Path
    ledger_url: str
    catalog_url: str
    warehouse: str
    registry: str

    @property
    def prediction_log(self) -> Path:
        """Where endpoints log their answers; variable HEADWATER_PREDICTION_LOG says another place."""
        return Path(os.environ.get("HEADWATER_PREDICTION_LOG") or self.home / "prediction_log").resolve()

    @property
    def batch_predictions(self) -> Path:
        """Where batches of predictions are kept, a folder a model."""
        return self.home / "batch_predictions"

    @property
    def keys(self) -> Path:
        """The keys of those who may ask the endpoint; variable HEADWATER_KEYS names another file."""
        return Path(os.environ.get("HEADWATER_KEYS") or self.home / "keys.json").resolve()

    @classmethod
    def from_env(cls, project: Path | None = None) -> "Settings":
        """Read HEADWATER_* variables; defaults lie under the project, found by its `workspace.yaml`."""
        root = project or Path(os.environ.get("HEADWATER_PROJECT") or _project_above(Path.cwd()))
        root = root.resolve()
        home = Path(os.environ.get("HEADWATER_HOME", root / ".headwater")).resolve()
        return cls(
            project=root,
            home=home,
            landing=Path(os.environ.get("HEADWATER_LANDING", root / "landing")).resolve(),
            ledger_url=os.environ.get("HEADWATER_LEDGER", f"sqlite:///{home / 'ledger.db'}"),
            catalog_url=os.environ.get("HEADWATER_CATALOG", f"sqlite:///{home / 'catalog.db'}"),
            warehouse=os.environ.get("HEADWATER_WAREHOUSE", f"file://{home / 'published'}"),
            registry=os.environ.get("HEADWATER_REGISTRY", f"file://{home / 'registry'}"),
        )


def _project_above(start: Path) -> Path:
    return next((folder for folder in (start, *start.parents) if (folder / "workspace.yaml").exists()), start)

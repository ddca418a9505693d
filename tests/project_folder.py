"""Settings of a project whose whole state lies in one folder."""

from pathlib import Path

from ml.settings import Settings

ROOT = Path(__file__).parents[1]


def settings_in(folder: Path, project: Path = ROOT) -> Settings:
    """Settings with state, landed files and databases under `folder`, and the sources of `project`."""
    return Settings(
        project=project,
        home=folder / "home",
        landing=folder / "landing",
        ledger_url=f"sqlite:///{folder / 'home' / 'ledger.db'}",
        catalog_url=f"sqlite:///{folder / 'home' / 'catalog.db'}",
        warehouse=f"file://{folder / 'home' / 'published'}",
        registry=f"file://{folder / 'home' / 'registry'}",
    )

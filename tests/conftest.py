"""What tests of every package share: a project of their own, in a folder of their own."""

from pathlib import Path

import pytest

from ml.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of the project in this checkout, with all state and all landed files under `tmp_path`."""
    return Settings(
        project=ROOT,
        home=tmp_path / "home",
        landing=tmp_path / "landing",
        ledger_url=f"sqlite:///{tmp_path / 'home' / 'ledger.db'}",
        catalog_url=f"sqlite:///{tmp_path / 'home' / 'catalog.db'}",
        warehouse=f"file://{tmp_path / 'home' / 'published'}",
        registry=f"file://{tmp_path / 'home' / 'registry'}",
    )

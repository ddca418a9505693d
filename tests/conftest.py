"""What tests of every package share: a project of their own, in a folder of their own."""

from pathlib import Path

import pytest

from ml.settings import Settings
from tests.project_folder import settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of the project in this checkout, with all state and all landed files under `tmp_path`."""
    return settings_in(tmp_path)

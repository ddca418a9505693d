"""What tests of every package share: a project of their own, in a folder of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.settings import Settings
from tests.postgresql import Server, running
from tests.project_folder import settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of the project in this checkout, with all state and all landed files under `tmp_path`."""
    return settings_in(tmp_path)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server, started for the first test that needs one."""
    with running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new ledger can be made: once on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.database()

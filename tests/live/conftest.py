"""The running project that the live tests share; started once, stopped at the end whatever happened."""

from collections.abc import Iterator

import pytest

from tests.live.project import Project, free_port

# Enough for the 28 held-out days of the shipped model and nine to train on: three weeks more make it better
# beyond doubt.
FIRST_LANDING = "2013-02-06"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    ports = [free_port() for _ in range(3)]
    running = Project(folder / "home", folder / "landing", *ports)
    try:
        up = running.headwater("up", "--until", FIRST_LANDING, check=False)
        assert up.returncode == 0, up.stdout + up.stderr
        yield running
    finally:
        running.headwater("down", check=False)

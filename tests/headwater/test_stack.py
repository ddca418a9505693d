"""What runs already is left alone by a second start, unless it runs other code."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater import services
from headwater.stack import Process, Stack
from ml import packaging
from ml.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project of its own."""
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "home"))
    return Settings.from_env(tmp_path)


@pytest.fixture
def stack(settings: Settings) -> Iterator[Stack]:
    """Stopped in the end."""
    stack = Stack(settings)
    yield stack
    for name in stack.running():
        stack.stop(name)


def _sleeping(version: str) -> Process:
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    return Process("sleeper", command, {}, None, version)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # as it is meant to be
def test_only_a_process_of_another_version_is_replaced(stack: Stack) -> None:
    first = stack.start(_sleeping("1"))
    assert stack.start(_sleeping("1")) == first
    second = stack.start(_sleeping("2"))
    assert second.pid != first.pid
    assert (first.is_alive, second.is_alive) == (False, True)
    assert stack.running() == {"sleeper": second}


def test_the_endpoint_is_of_another_version_when_its_code_changed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in packaging.SOURCES:
        (tmp_path / name).mkdir()
    code = tmp_path / packaging.SOURCES[0] / "some.py"
    code.write_text("A = 1\n")
    monkeypatch.setattr(packaging, "_ROOT", tmp_path)
    before = services.endpoint(settings, "one:a")
    assert services.endpoint(settings, "one:b").version == before.version, (
        "models are followed, not restarted"
    )
    code.write_text("A = 2\n")
    assert services.endpoint(settings, "one:a").version != before.version

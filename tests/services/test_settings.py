"""Settings come from the environment; a wrong one is named."""

from datetime import timedelta
from pathlib import Path

import pytest

from ml.errors import SettingRefused
from services.settings import ServingSettings


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "LEDGER", "PORT", "HOST", "PACKED", "WORKERS", "AHEAD_HOURS"):
        monkeypatch.delenv(f"HEADWATER_{name}", raising=False)
    monkeypatch.delenv("BENTOML_CONTAINERIZED", raising=False)


def test_alone_it_listens_on_loopback_and_follows_nothing() -> None:
    settings = ServingSettings.from_env()
    assert (settings.host, settings.port, settings.workers, settings.follow) == ("127.0.0.1", 3030, 1, False)
    assert settings.packed == Path(__file__).parents[2]
    assert settings.ahead == timedelta(days=7)


def test_in_a_container_it_listens_where_the_container_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_CONTAINERIZED", "true")
    settings = ServingSettings.from_env()
    assert (settings.host, settings.port) == ("0.0.0.0", 3000)  # noqa: S104


@pytest.mark.parametrize("name", ["HEADWATER_HOME", "HEADWATER_LEDGER"])
def test_a_project_or_a_ledger_is_followed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "somewhere")
    assert ServingSettings.from_env().follow


@pytest.mark.parametrize("value", ["", "many", "0", "-1", "1.5"])
def test_a_wrong_number_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HEADWATER_WORKERS", value)
    with pytest.raises(SettingRefused, match=f'HEADWATER_WORKERS is "{value}"; expected a whole number'):
        ServingSettings.from_env()

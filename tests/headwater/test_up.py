"""What `headwater up` makes of a project that it can't read: it tells, and goes on to what serves."""

from pathlib import Path

import pytest

from assets.dbt_runner import DbtRunner
from headwater import up
from headwater.console import Voice
from headwater.stack import Stack
from tests.assets.meters import Meters


def test_a_mistake_in_the_dbt_project_is_told_and_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meters, voice = Meters(tmp_path, monkeypatch), Voice(as_json=True)
    meters.edit("models/labels/reading_labels.sql", "ref('stg_readings')", "ref('stg_reading')")
    monkeypatch.setattr(up, "_loaded", lambda _: up._due(voice, meters.settings, DbtRunner(meters.settings)))
    stack = Stack(meters.settings)
    (mistake,) = up._graph_side(voice, meters.settings, up._Starting(stack, voice))
    assert "dbt parse failed" in str(mistake)
    assert "stg_reading" in str(mistake)
    assert "readers keep what they have" in str(mistake)
    assert stack.running() == {}


def test_a_project_without_files_has_nothing_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meters = Meters(tmp_path, monkeypatch)
    for file in meters.settings.landing.rglob("*.csv"):
        file.unlink()
    assert up._due(Voice(as_json=True), meters.settings, DbtRunner(meters.settings)) == ()

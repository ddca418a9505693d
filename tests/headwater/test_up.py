"""What `headwater up` makes of a project that it can't read: it tells, and goes on to what serves."""

from pathlib import Path

import pytest

from headwater.console import Voice
from headwater.up import _compute
from tests.assets.meters import Meters


def test_a_mistake_in_the_dbt_project_is_told_and_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meters = Meters(tmp_path, monkeypatch)
    meters.edit("models/labels/reading_labels.sql", "ref('stg_readings')", "ref('stg_reading')")
    (mistake,) = _compute(Voice(as_json=True), meters.settings)
    assert "dbt parse failed" in str(mistake)
    assert "stg_reading" in str(mistake)
    assert "readers keep what they have" in str(mistake)


def test_a_project_without_files_has_nothing_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meters = Meters(tmp_path, monkeypatch)
    for file in meters.settings.landing.rglob("*.csv"):
        file.unlink()
    assert _compute(Voice(as_json=True), meters.settings) == []

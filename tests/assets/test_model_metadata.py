"""What the assets of a model show of the test beside the champion."""

from datetime import UTC, datetime
from typing import Any

from assets.components.model_metadata import of_outcome, of_test
from ml import canonical
from ml.gate import PairedTest
from ml.ledger_entries import Entry
from ml.promotion import Outcome

TEST = PairedTest("roc_auc", 0.01234567, 0.005, 0.02, 28, 0.001, 0.00012345, 0.00098, 0.04802, 2)
SHOWN = {
    "test_difference": 0.01235,
    "test_interval_low": 0.005,
    "test_interval_high": 0.02,
    "test_p_value": 0.0001234,
    "test_level_spent": 0.00098,
    "test_level_left": 0.04802,
}


def outcome(**details: Any) -> Outcome:
    version = "a" * 64
    entry = Entry(
        1, datetime.now(UTC), "promoted", "m", version, None, None, "proven better", "dagster", details
    )
    return Outcome("promoted", version, entry, "proven better")


def test_an_evaluation_shows_the_test_in_numbers() -> None:
    assert of_test(TEST) == SHOWN
    assert of_test(None) == {}


def test_a_champion_shows_the_test_that_made_it_one() -> None:
    shown = of_outcome(outcome(test=canonical.plain(TEST)))
    assert shown == {"version": "a" * 64, "outcome": "promoted", "reason": "proven better"} | SHOWN
    assert "test_p_value" not in of_outcome(outcome())

"""Feature SQL that the endpoint can't compute keeps definitions from loading: file, line and reason."""

from collections.abc import Iterator

import pytest

from ml.errors import FeatureSqlUnfit
from tests.assets.meters import Meters

FEATURES = "models/features/reading_features.sql"
PLANTED = {
    "a window": (
        "    watts_sum_2d\n",
        "    sum(watts_sum_2d) over () as watts_sum_2d\n",
        13,
        "a window needs",
    ),
    "an aggregate": ("    meter_id,\n", "    max(meter_id) as meter_id,\n", 11, "an aggregate needs"),
    "a filter": ("from known", "from known\nwhere watts_sum_2d > 0", 15, "a condition drops rows"),
    "a function": ("    meter_id,\n", "    md5(meter_id) as meter_id,\n", 11, '"md5" is not among'),
    "a join": ("from known", "from known\ncross join spine", 15, "may join one lookup"),
}


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """A project that was never run."""
    with pytest.MonkeyPatch.context() as patch:
        yield Meters(tmp_path_factory.mktemp("meters"), patch)


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_not_computed_alike_is_refused_when_definitions_load(meters: Meters, what: str) -> None:
    old, new, line, reason = PLANTED[what]
    assert meters.definitions().assets
    meters.edit(FEATURES, old, new)
    for _ in range(2):  # compiled, and from what is kept of it
        with pytest.raises(FeatureSqlUnfit, match=reason) as refused:
            meters.definitions()
        assert f'reading_features.sql", line {line}' in str(refused.value)
        assert "upstream" in str(refused.value)
    meters.edit(FEATURES, new, old)
    assert meters.definitions().assets

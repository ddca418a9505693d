"""A training set never mixes rows of different SQL, nor takes rows of other SQL than there is now."""

from collections.abc import Iterator

import dagster as dg
import pytest

from ml.arrivals import Segment, due_segments
from ml.errors import MadeByOtherCode
from ml.training_set import assemble
from tests.assets.meters import MODEL_STEPS, Meters, day, failures
from tests.assets.test_gates import declaration, has_training_set

SUMS = "models/intermediate/int_meter_sums.sql"


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """A project with three days computed, and one between them that never landed."""
    with pytest.MonkeyPatch.context() as patch:
        made = Meters(tmp_path_factory.mktemp("meters"), patch)
        for n in (0, 1, 3):
            made.land_readings(day(n))
        compute(made)
        yield made


def compute(meters: Meters) -> list[dg.ExecuteInProcessResult]:
    """What `headwater up` does; every run must be good."""
    results = []
    while segments := meters.due():
        results += meters.run(*segments, without=MODEL_STEPS)
        assert [failures(result) for result in results] == [""] * len(results)
    return results


def by_sensor(meters: Meters) -> dg.ExecuteInProcessResult:
    """The run that files ask for."""
    (segment,) = due_segments(meters.settings, meters.code.tables.values)
    (result,) = meters.run(segment, without=MODEL_STEPS)
    return result


def by_hand(meters: Meters, *assets: str) -> str:
    """Why a run by hand failed; empty when it is good."""
    of = Segment(day(0), day(0), (), "digest")
    (result,) = meters.run(of, only=[f"high_reading/{asset}" for asset in assets], tags={})
    return failures(result)


def refused(meters: Meters) -> list[object]:
    """The days for which a plain call is refused a training set."""
    try:
        assemble(meters.published, declaration())
    except MadeByOtherCode as refusal:
        return list(refusal.days)
    return []


def test_days_of_one_code_give_a_training_set_though_some_never_landed(meters: Meters) -> None:
    assert refused(meters) == []
    assert by_hand(meters, "training_set", "candidate") == ""
    codes = meters.published.codes()
    assert {"reading_features", "reading_labels", "int_meter_sums"} <= codes.keys()
    assert "" not in codes.values()


def test_rows_of_older_sql_are_refused_and_so_is_a_mixture(meters: Meters) -> None:
    meters.edit(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} + 2 as")
    told = by_hand(meters, "training_set")
    for part in ('"reading_features"', f"{day(0)} to {day(3)} (3 of 3 days)", "run `make up`"):
        assert part in told
    assert refused(meters) == []  # all of the same
    assert 'SQL of "reading_features"' in by_hand(meters, "candidate")
    meters.land_readings(day(4))
    result = by_sensor(meters)
    assert not has_training_set(result)
    assert f"{day(0)} to {day(4)} (4 of 4 days)" in failures(result)
    assert day(4) in refused(meters)
    results = compute(meters)
    assert len(results) > 1  # days that never landed part the stale ones
    assert has_training_set(results[-1])
    assert refused(meters) == []


def test_rows_that_changed_sql_makes_just_so_are_certified_without_being_built(meters: Meters) -> None:
    meters.edit(SUMS, "+ 2 as", "+ 2 + 0 as")
    for n in (0, 3):
        assert "run `make up`" in by_hand(meters, "training_set")
        of = Segment(day(n), day(n + 1), (), "digest")
        (result,) = meters.run(of, only=["intermediate/int_meter_sums"])
        assert failures(result) == ""
    assert by_hand(meters, "training_set") == ""
    assert meters.due() == ()

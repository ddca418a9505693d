"""Which published days may be trained on: published with or without checks, found out later, read again."""

from datetime import date

import pytest

from ml.errors import Uncertified
from ml.lake.published import Certificate, PublishBatch, Published, Verdict
from ml.settings import Settings
from tests.ml.published_rows import day, rows


@pytest.fixture
def published(settings: Settings) -> Published:
    return Published(settings)


def publish(
    published: Published,
    first: int,
    n_days: int,
    required: tuple[str, ...] | None = ("unique",),
    passed: tuple[str, ...] = ("unique",),
) -> int:
    """Publish days with a certificate, or with none; the edition's number."""
    known = None if required is None else Certificate(f"run{first}", required, passed, "data")
    last = day(first + n_days - 1)
    batch = PublishBatch(rows(first, n_days), day(first), last, certificate=known)
    return published.publish({"t": batch}).id


def refused(published: Published, n_days: int, edition: int | None = None) -> dict[date, str]:
    """The days from 0 that are refused, with the reason."""
    try:
        days = [day(n) for n in range(n_days)]
        published.refuse_uncertified("t", days, edition=published.edition(edition))
    except Uncertified as refusal:
        return refusal.days
    return {}


def test_days_whose_blocking_checks_passed_are_certified(published: Published) -> None:
    publish(published, 0, 3)
    assert refused(published, 3) == {}


def test_a_call_that_names_no_checks_certifies_nothing(published: Published) -> None:
    publish(published, 0, 3)
    publish(published, 1, 1, required=None)
    assert refused(published, 3) == {day(1): "edition 2 was published by a call that names no checks"}
    assert refused(published, 3, edition=1) == {}
    publish(published, 1, 1)
    assert refused(published, 3) == {}


def test_a_declared_check_that_did_not_run_certifies_nothing(published: Published) -> None:
    publish(published, 0, 2, required=("unique", "leakage"))
    assert set(refused(published, 2)) == {day(0), day(1)}
    assert "'leakage' did not pass in run run0" in refused(published, 2)[day(0)]
    published.judge(Verdict("t", "leakage", True, "later", day(0), day(0)))
    assert set(refused(published, 2)) == {day(1)}


def test_a_check_that_fails_later_takes_the_certificate_away_until_it_is_mended(published: Published) -> None:
    publish(published, 0, 3)
    published.judge(Verdict("t", "leakage", False, "audit", day(1), day(2)))
    assert refused(published, 3) == dict.fromkeys([day(1), day(2)], "the check 'leakage' failed in run audit")
    publish(published, 2, 1)
    assert set(refused(published, 3)) == {day(1)}
    assert set(refused(published, 3, edition=1)) == {day(1), day(2)}
    published.judge(Verdict("t", "leakage", True, "again"))
    assert refused(published, 3) == {}


def test_the_refusal_names_table_days_check_and_the_way_out(published: Published) -> None:
    publish(published, 0, 3, passed=())
    with pytest.raises(Uncertified, match='"t"') as refusal:
        published.refuse_uncertified("t", [day(0), day(2)], edition=published.edition())
    told = str(refusal.value)
    for part in (f"{day(0)} to {day(2)} (2 days)", "'unique'", "run0", "materialize these days"):
        assert part in told


def test_rows_of_a_day_that_was_never_published_with_a_certificate_are_refused(published: Published) -> None:
    publish(published, 0, 1)
    assert set(refused(published, 2)) == {day(1)}

"""Which published days may be trained on: with or without checks, found out later, by which code."""

from datetime import date

import pytest

from ml.errors import MadeByOtherCode, Uncertified
from ml.lake.published import Certificate, PublishBatch, Published, Renewal, Verdict
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
    known = None if required is None else Certificate(f"run{first}", required, passed, "data", "code")
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


def publish_by(published: Published, code: str, first: int, n_days: int) -> int:
    """Publish certified days whose rows a code made; the edition's number."""
    known = Certificate("run", ("unique",), ("unique",), code=code)
    batch = PublishBatch(rows(first, n_days), day(first), day(first + n_days - 1), certificate=known)
    return published.publish({"t": batch}).id


def other(
    published: Published, n_days: int, code: str | None = None, edition: int | None = None
) -> list[date]:
    """The days from 0 that are refused for the code that made them."""
    try:
        days = [day(n) for n in range(n_days)]
        published.refuse_uncertified("t", days, edition=published.edition(edition), code=code)
    except MadeByOtherCode as refusal:
        return refusal.days
    return []


def renewed(code: str, first: int, last: int) -> Renewal:
    return Renewal("t", code, ((day(first), day(last)),))


def test_days_of_one_code_are_certified_and_of_several_are_not(published: Published) -> None:
    publish_by(published, "old", 0, 3)
    assert other(published, 3) == other(published, 3, "old") == []
    assert other(published, 3, "new") == [day(0), day(1), day(2)]
    publish_by(published, "new", 2, 2)
    assert other(published, 4) == [day(0), day(1)]
    assert other(published, 4, "old") == [day(2), day(3)]
    assert other(published, 2) == []
    assert other(published, 3, edition=1) == []


def test_rows_that_another_code_makes_just_so_are_of_both(published: Published) -> None:
    first = publish_by(published, "old", 0, 3)
    published.renew(renewed("new", 0, 2))
    assert other(published, 3, "new") == other(published, 3, "old") == []
    publish_by(published, "new", 1, 1)
    assert other(published, 3) == other(published, 3, "new") == []
    assert other(published, 3, "old") == [day(1)]
    assert other(published, 3, "old", edition=first) == []


def test_a_renewal_is_of_the_rows_there_were(published: Published) -> None:
    publish_by(published, "old", 0, 2)
    published.renew(renewed("new", 0, 1))
    publish_by(published, "newest", 1, 1)
    assert other(published, 2, "new") == [day(1)]


def test_rows_made_from_rows_of_other_code_are_of_none(published: Published) -> None:
    publish_by(published, "new", 0, 2)
    published.renew(renewed("new", 0, 1))
    assert published.codes() == {"t": "new"}
    publish_by(published, "", 2, 1)
    assert published.codes() == {"t": ""}
    assert other(published, 3) == other(published, 3, "new") == [day(2)]


def test_the_refusal_of_other_code_names_table_days_and_the_way_out(published: Published) -> None:
    publish_by(published, "old", 0, 2)
    publish_by(published, "new", 2, 1)
    with pytest.raises(MadeByOtherCode) as refusal:
        published.refuse_uncertified("t", [day(n) for n in range(3)], edition=published.edition())
    for part in ('"t"', f"{day(0)} to {day(1)} (2 of 3 days)", "edition 2", "run `make up`"):
        assert part in str(refusal.value)


def test_tables_that_a_check_failed_are_known_until_it_passes(published: Published) -> None:
    publish(published, 0, 3)
    published.judge(Verdict("t", "proof", False, "night", day(1), day(2)))
    assert (published.failed("proof"), published.failed("other")) == ({"t"}, set())
    published.judge(Verdict("t", "proof", True, "again", day(1), day(1)))
    assert published.failed("proof") == {"t"}
    published.judge(Verdict("t", "proof", True, "again"))
    assert published.failed("proof") == set()


def test_a_verdict_on_an_older_edition_spares_what_was_published_since(published: Published) -> None:
    publish(published, 0, 3)
    seen = published.edition()
    publish(published, 1, 1)
    published.judge(Verdict("t", "proof", False, "night"), seen)
    assert set(refused(published, 3)) == {day(0), day(2)}

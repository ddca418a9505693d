"""What a recalled file stands for, which days it reached, and that its bytes are not taken in again."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ml.errors import NoSuchFile, SeveralFiles
from ml.reach import propagate
from ml.settings import Settings
from ml.sources import kept
from ml.sources.kept import Version
from ml.sources.recalled import Recall, find, note, recalls, set_aside
from ml.tables import Table

DAY = date(2013, 3, 4)


def version(n: int, sha256: str) -> Version:
    return Version(datetime(2013, 3, 5, 0, 0, n), sha256, DAY)


def recall(sha256: str, *versions: Version) -> Recall:
    at = datetime(2013, 4, 1, tzinfo=UTC)
    return Recall("readings", sha256, "a meter was moved", "me", at, tuple(map(kept.name_of, versions)), {})


def test_a_copy_that_only_repeats_the_one_before_is_set_aside_too(settings: Settings) -> None:
    first, bad, again = version(1, "a" * 64), version(2, "b" * 64), version(3, "a" * 64)
    for one in (first, bad, again):
        kept.keep(settings, "readings", one, b"")
    begun = note(settings, recall("b" * 64, bad))
    done = set_aside(settings, begun)
    assert kept.versions(settings, "readings", DAY) == [first]
    assert set_aside(settings, done) == done
    assert recalls(settings) == {("readings", "b" * 64): done}
    assert find(settings, ["readings"], "b" * 64).versions == (bad,)


def test_a_recall_killed_before_all_copies_moved_goes_on(settings: Settings) -> None:
    bad, worse = version(1, "b" * 64), version(2, "c" * 64)
    for one in (bad, worse):
        kept.keep(settings, "readings", one, b"")
    begun = note(settings, recall("b" * 64, bad))
    set_aside(settings, begun)
    assert kept.versions(settings, "readings", DAY) == [worse]
    assert set_aside(settings, recalls(settings)["readings", "b" * 64]).names == begun.names


def test_a_file_is_found_by_digits_name_or_bytes(settings: Settings, tmp_path: Path) -> None:
    landed = tmp_path / "readings" / f"{DAY}.csv"
    landed.parent.mkdir()
    landed.write_text("meter\n")
    one = version(1, kept.sha256_of(landed))
    kept.keep(settings, "readings", one, landed.read_bytes())
    for wanted in (str(landed), one.sha256[:8], kept.name_of(one)):
        assert find(settings, ["readings"], wanted).versions == (one,)
    for wanted in (one.sha256[:5], "f" * 64, "elsewhere.csv"):
        with pytest.raises(NoSuchFile):
            find(settings, ["readings"], wanted)
    kept.keep(settings, "readings", replace(one, sha256=one.sha256[:8] + "0" * 56), b"")
    with pytest.raises(SeveralFiles):
        find(settings, ["readings"], one.sha256[:8])


def test_days_are_reached_as_far_as_tables_look_back_through_others() -> None:
    sums = Table("sums", ("raw.readings",), "", "", is_daily=True, lookback_days=1)
    features = Table("features", ("sums",), "", "", is_daily=True, lookback_days=1)
    other = Table("other", ("raw.meters",), "", "", is_daily=True)
    days = [date(2013, 3, n) for n in range(1, 10)]
    found = propagate({one.name: one for one in (features, other, sums)}, {"raw.readings": {DAY}}, days)
    assert found["sums"] == {date(2013, 3, 4), date(2013, 3, 5)}
    assert found["features"] == {date(2013, 3, 4), date(2013, 3, 5), date(2013, 3, 6)}
    assert found["other"] == set()

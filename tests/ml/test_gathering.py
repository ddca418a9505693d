"""What a version is made from is noted as it is: rows in any order, declarations as written."""

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ml.bundle import Bundle, load
from ml.gathering import day_hashes, keep_edition
from ml.lake.published import Published
from ml.provenance import pin
from ml.settings import Settings
from ml.sources.catalogue import declared_sources
from ml.sources.declaration import Source
from ml.sources.kept import Version, name_of, version_of
from tests.ml.published_rows import batch, rows, values
from tests.project_folder import ROOT


def test_a_days_hash_is_of_its_rows_in_any_order() -> None:
    table = rows(0, 4, 7)
    mixed = table.take(np.random.default_rng(0).permutation(len(table)))
    expected = day_hashes(table, "id")
    assert list(expected) == sorted(set(table["day"].to_pylist()))
    assert day_hashes(mixed, "id") == expected
    other = rows(0, 4, 7).set_column(2, "value", pa.array([7, 7, 7, 7, 7, 8, 7, 7]))
    changed = {day for day, found in day_hashes(other, "id").items() if found != expected[day]}
    assert changed == {table["day"][5].as_py()}
    assert day_hashes(table.slice(0, 0), "id") == {}


@pytest.mark.parametrize("day", [date(2013, 1, 2), None])
def test_a_kept_copys_name_says_which_version_it_is(day: date | None) -> None:
    version = Version(datetime(2026, 1, 2, 3, 4, 5, 6), "ab" * 32, day)
    assert version_of(name_of(version)) == version


@pytest.mark.parametrize("source", declared_sources(ROOT), ids=lambda source: source.name)
def test_a_declaration_kept_as_json_is_the_same_with_all_its_order(source: Source) -> None:
    again = Source.model_validate_json(source.model_dump_json())
    assert again == source
    assert again.digest() == source.digest()
    assert list(again.derived) == list(source.derived)


def test_the_edition_of_a_version_is_kept_or_else_the_one_that_gave_its_rows_again(
    bundle: Bundle, settings: Settings
) -> None:
    published = Published(settings)
    for value in range(4):
        published.publish({"t": batch(0, 1, value)})
    made_from = Bundle({**bundle.files, "origin.json": b'{"edition": 2}'})
    tag = pin(bundle.model, bundle.version)

    keep_edition(published, made_from, newest=4)
    assert published.tagged(tag).id == 2
    published.expire(timedelta(0), 1)
    assert values(published, "t", 2) == [1, 1]

    published.untag(tag)
    published.expire(timedelta(0), 1)
    keep_edition(published, made_from, newest=4)
    assert published.tagged(tag).id == 4


def test_a_bundle_keeps_its_provenance_and_its_version(bundle: Bundle, tmp_path: Path) -> None:
    with_it = Bundle({**bundle.files, "provenance.json": b"{}"})
    assert with_it.version == bundle.version
    with_it.write(tmp_path / "with")
    assert load(tmp_path / "with").files == with_it.files
    bundle.write(tmp_path / "without")
    assert load(tmp_path / "without").files == bundle.files

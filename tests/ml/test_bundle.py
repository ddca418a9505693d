"""A bundle on disk: text only, named by its content, refused by the name of what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ml import canonical
from ml.bundle import FILES as COMMON
from ml.bundle import INDEX, Bundle, load
from ml.errors import BundleRefused
from ml.scoring import Scorer
from ml.training_set import TrainingSet

FILES = (*COMMON, "trees.txt", "fingerprint.json", "samples.json")


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    bundle.write(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_what_is_read_back_is_the_same_model(bundle: Bundle, folder: Path, training_set: TrainingSet) -> None:
    again = load(folder)
    assert again.version == bundle.version
    assert again.files == dict(bundle.files)
    expected = Scorer(bundle).score(training_set.test)
    np.testing.assert_array_equal(Scorer(again).score(training_set.test), expected)


def test_it_is_text_without_times_paths_or_threads(folder: Path) -> None:
    names = {file.name for file in folder.iterdir()}
    assert names == {*FILES, INDEX}
    for file in (folder / name for name in names - {"samples.json"}):  # that one is numbers
        text = file.read_text(encoding="utf-8")
        assert str(folder) not in text
        assert "/work" not in text
        assert "num_threads" not in text
        assert "2026" not in text


def test_where_rows_were_read_is_not_part_of_the_version(bundle: Bundle) -> None:
    elsewhere = Bundle({**bundle.files, "origin.json": b'{"edition": 99, "snapshots": {}}'})
    assert elsewhere.version == bundle.version
    for name in set(FILES) - {"origin.json", "fingerprint.json", "samples.json"}:
        assert Bundle({**bundle.files, name: bundle.files[name] + b" "}).version != bundle.version


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_refused_by_file(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleRefused, match=f'"{name}": its SHA-256 is'):
        load(folder)


@pytest.mark.parametrize("name", [*FILES, INDEX])
def test_a_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleRefused, match=f'"{name}": it is missing'):
        load(folder)


def _format(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(canonical.dumps({**index, "format": 2}))


def _claim(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(canonical.dumps({**index, "version": "0" * 64}))


def _both(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    (folder / "features.sql").write_text("select 2")
    index["files"]["features.sql"] = canonical.digest("select 2")
    (folder / INDEX).write_text(canonical.dumps(index))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_format, "format 2 is unknown; this reads 1"),
        (_claim, "the index says 0000"),
        (_both, "its files make version"),
        (lambda folder: (folder / INDEX).write_text("{"), "it can't be read"),
        (lambda folder: (folder / INDEX).write_text("[]"), "it can't be read"),
        (
            lambda folder: (folder / "trees.txt").rename(folder / "coefficients.json"),
            "the index doesn't name it",
        ),
        (
            lambda folder: (folder / "model.pkl").write_bytes(b"x"),
            '"model.pkl": it is no file of this format',
        ),
    ],
)
def test_an_index_that_lies_is_refused(folder: Path, damage: Callable[[Path], object], told: str) -> None:
    damage(folder)
    with pytest.raises(BundleRefused, match=told):
        load(folder)


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match=INDEX):
        load(tmp_path / "nothing")

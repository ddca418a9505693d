"""The registry: stored whole or not there, on files and on other stores alike."""

import pickle
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from ml.bundle import INDEX, Bundle
from ml.errors import BundleRefused, EvaluationNotFound, VersionNotFound
from ml.registry import Registry


@pytest.fixture(params=["file", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return Registry(tmp_path.as_uri() if request.param == "file" else f"memory://{uuid.uuid4().hex}")


def test_a_bundle_is_kept_by_model_and_version(registry: Registry, bundle: Bundle) -> None:
    uri = registry.put(bundle)
    assert uri.endswith(f"/late_parcel/{bundle.version}/bundle")
    assert registry.put(bundle) == uri
    assert registry.versions("late_parcel") == (bundle.version,)
    assert registry.versions("other") == ()
    assert dict(registry.get("late_parcel", bundle.version).files) == dict(bundle.files)


def test_an_unknown_version_is_told_with_the_nearest(registry: Registry, bundle: Bundle) -> None:
    registry.put(bundle)
    with pytest.raises(VersionNotFound, match=bundle.version):
        registry.get("late_parcel", bundle.version[:60] + "0000")


def test_half_a_bundle_is_not_there_and_is_completed(tmp_path: Path, bundle: Bundle) -> None:
    registry = Registry(tmp_path.as_uri())
    registry.put(bundle)
    folder = tmp_path / "late_parcel" / bundle.version / "bundle"
    (folder / INDEX).unlink()
    (folder / "trees.txt").write_text("half")
    (folder / f".{INDEX}.0123").write_text("killed while writing")
    assert registry.versions("late_parcel") == ()
    with pytest.raises(VersionNotFound):
        registry.get("late_parcel", bundle.version)
    registry.put(bundle)
    assert registry.get("late_parcel", bundle.version).fitted == bundle.fitted


def test_a_damaged_bundle_is_refused_by_file(tmp_path: Path, bundle: Bundle) -> None:
    registry = Registry(tmp_path.as_uri())
    registry.put(bundle)
    (tmp_path / "late_parcel" / bundle.version / "bundle" / "contract.json").write_text("{}")
    with pytest.raises(BundleRefused, match=r'"contract\.json": its SHA-256'):
        registry.get("late_parcel", bundle.version)


def test_a_bundle_under_another_name_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    registry = Registry(tmp_path.as_uri())
    registry.put(bundle)
    (tmp_path / "late_parcel" / bundle.version).rename(tmp_path / "late_parcel" / ("0" * 64))
    with pytest.raises(BundleRefused, match="wanted is 0000"):
        registry.get("late_parcel", "0" * 64)


def test_evaluations_are_kept_beside(registry: Registry, bundle: Bundle) -> None:
    files = {"evaluation.json": b"{}", "report.html": b"<p>"}
    uri = registry.put_evaluation("late_parcel", bundle.version, "e1", files)
    assert uri.endswith("/evaluations/e1")
    assert registry.get_evaluation("late_parcel", bundle.version, "e1", "report.html") == b"<p>"
    with pytest.raises(EvaluationNotFound, match=r'"report\.html" of evaluation "e2"'):
        registry.get_evaluation("late_parcel", bundle.version, "e2", "report.html")


STORED_BY_TWO = """
import os, pickle, sys
from ml.bundle import Bundle
from ml.registry import Registry

with open(sys.argv[1], "rb") as given:
    bundle = Bundle(pickle.load(given))
ready, go = os.pipe()
children = []
for _ in range(2):
    children.append(os.fork())
    if not children[-1]:
        os.read(ready, 1)
        registry = Registry(sys.argv[2])
        registry.put(bundle)
        os._exit(registry.get(bundle.model, bundle.version).version != bundle.version)
os.write(go, b"12")
print([os.waitpid(child, 0)[1] for child in children])
"""


def test_two_may_store_the_same_version_at_once(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "given").write_bytes(pickle.dumps(dict(bundle.files)))
    command = [sys.executable, "-c", STORED_BY_TWO, str(tmp_path / "given"), (tmp_path / "kept").as_uri()]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[0, 0]"
    folder = tmp_path / "kept" / "late_parcel" / bundle.version / "bundle"
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]

"""A Bento is built whole or not at all, once, and holds what a container needs: nothing more, no address."""

import multiprocessing
import re
from collections.abc import Mapping

import pytest
import yaml

from ml.bundle import Bundle, load
from ml.errors import PackagingFailed
from ml.online import OnlineStore
from ml.packaging import PackedBento, bentoml_home, pack
from tests.services import toy
from tests.services.project import Project
from tests.services.server import wait_for

Packed = tuple[Project, PackedBento]


def test_it_holds_model_tables_and_locked_requirements(packed: Packed, bundles: Mapping[str, Bundle]) -> None:
    project, bento = packed
    version = bundles["first"].version
    assert bento == PackedBento(
        f"{toy.MODEL}:{version[:12]}", bentoml_home(project.settings) / "bentos" / toy.MODEL / version[:12]
    )
    assert load(bento.path / "src" / "bundle").version == version
    assert OnlineStore.from_folder(bento.path / "src" / "online").edition_id == 1
    told = yaml.safe_load((bento.path / "bento.yaml").read_text())
    assert (told["name"], told["version"], told["service"]) == (
        toy.MODEL,
        version[:12],
        "services.service:Predictor",
    )
    assert told["image"]["python_version"] == "3.11"
    assert (bento.path.parent / "latest").read_text() == version[:12]


def test_every_requirement_is_pinned_and_hashed_and_no_registry_is_named(packed: Packed) -> None:
    requirements = (packed[1].path / "env" / "python" / "requirements.txt").read_text()
    entries = re.split(r"\n(?=\S)", requirements.strip())
    unhashed = [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    # BentoML names itself once more, at the version that is pinned and hashed above.
    assert [entry.strip() for entry in unhashed] == ["bentoml==1.4.39"]
    texts = [
        file for file in packed[1].path.rglob("*") if file.suffix in {".txt", ".in", ".lock", ".yaml", ".md"}
    ]
    assert texts
    assert not [file.name for file in texts if "://" in file.read_text()]
    assert "--index-url" not in (packed[1].path / "env" / "docker" / "Dockerfile").read_text()


def test_the_document_is_packed_with_it(packed: Packed) -> None:
    document = yaml.safe_load((packed[1].path / "apis" / "openapi.yaml").read_text())
    assert document["info"]["title"] == toy.MODEL


def test_it_is_built_once(packed: Packed, bundles: Mapping[str, Bundle]) -> None:
    before = (packed[1].path / "bento.yaml").stat()
    assert pack(packed[0].settings, bundles["first"]) == packed[1]
    assert (packed[1].path / "bento.yaml").stat() == before
    assert not list((packed[0].settings.home / "build").glob("*/"))


def test_a_packer_killed_half_way_is_made_up_for(project: Project, bundles: Mapping[str, Bundle]) -> None:
    """Also: what other serving code had packed under the same tag is replaced."""
    place = bentoml_home(project.settings) / "bentos" / toy.MODEL / bundles["first"].version[:12]
    (place / "src").mkdir(parents=True)
    (place / "src" / "sources.sha256").write_text("of other code")
    packer = multiprocessing.get_context("spawn").Process(
        target=pack, args=(project.settings, bundles["first"])
    )
    packer.start()
    wait_for(lambda: any((project.settings.home / "build").glob("*/context/pyproject.toml")), 30)
    packer.kill()
    packer.join()
    assert not (place / "bento.yaml").exists()
    assert pack(project.settings, bundles["first"]).path == place
    assert (place / "bento.yaml").exists()


def test_a_bundle_that_does_not_answer_is_not_packed(project: Project, bundles: Mapping[str, Bundle]) -> None:
    files = dict(bundles["first"].files)
    files["features.sql"] = b"select request_row from request"
    with pytest.raises(PackagingFailed, match=r"needs column \"zone_id\""):
        pack(project.settings, Bundle(files))
    assert not bentoml_home(project.settings).exists()

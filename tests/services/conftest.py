"""Bundles are trained once, and a project with one of them packed is made once."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ml.bundle import Bundle
from ml.packaging import PackedBento, pack
from tests.services import toy
from tests.services.project import Project


@pytest.fixture(scope="session")
def bundles() -> Mapping[str, Bundle]:
    """Three versions of the toy model."""
    return {name: toy.bundle(seed) for seed, name in enumerate(("first", "second", "third"))}


@pytest.fixture
def project(tmp_path: Path, bundles: Mapping[str, Bundle]) -> Project:
    """Published tables, and the first version as champion."""
    return _furnished(tmp_path, bundles["first"])


@pytest.fixture(scope="session")
def packed(
    tmp_path_factory: pytest.TempPathFactory, bundles: Mapping[str, Bundle]
) -> tuple[Project, PackedBento]:
    """A project whose champion is packed."""
    project = _furnished(tmp_path_factory.mktemp("packed"), bundles["first"])
    return project, pack(project.settings, bundles["first"])


def _furnished(folder: Path, champion: Bundle) -> Project:
    project = Project.in_folder(folder)
    project.publish(toy.zone_speed())
    project.register(champion)
    project.promote(champion.version)
    return project

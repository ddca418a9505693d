"""Packs a bundle with its online tables and the serving code into a Bento that runs anywhere.

Which version is packed, and when, is the caller's decision; nothing is served here.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ml.bundle import Bundle
from ml.errors import PackagingFailed
from ml.lake.editions import Edition
from ml.lake.published import Published
from ml.online import MANIFEST, save_online_tables
from ml.settings import Settings

SOURCES = ("ml", "services")
_ROOT = Path(__file__).parent.parent
_DIGEST = "sources.sha256"
_BUILD = """\
[tool.bentoml.build]
service = "services.service:Predictor"
name = "{model}"
description = "file:README.md"
include = ["ml/**/*.py", "services/*", "services/page/*", "bundle/*", "online/*", "{digest}"]
"""
_README = """\
# {model} {version}

`POST /predict` answers with a prediction for each instance; `GET /docs.json` describes it with examples,
`GET /model` says what serves. `bentoml serve {tag}` runs it, `bentoml containerize {tag}` packs it.
"""


@dataclass(frozen=True)
class PackedBento:
    """A Bento in the project's store, whole; `bentoml serve <tag>` runs it."""

    tag: str
    path: Path


def pack(
    settings: Settings, bundle: Bundle, edition: Edition | None = None, *, anew: bool = False
) -> PackedBento:
    """Build the Bento of a bundle over an edition (default: the newest), unless it is there already.

    With `anew` one over other online tables is replaced too.

    A Bento is there whole or not at all; one made by other serving code is replaced. Raises PackagingFailed
    with BentoML's words, UnknownTable or NothingPublished.
    """
    version = bundle.version[:12]
    bento = PackedBento(
        f"{bundle.model}:{version}", bentoml_home(settings) / "bentos" / bundle.model / version
    )
    published = Published(settings)
    with _alone(settings.home / "build", f"{bundle.model}-{version}") as build:
        sources = sources_digest()
        tables = bundle.contract.online_tables
        edition = edition or published.edition()
        is_other = anew and packed_snapshots(bento) != {name: edition.snapshots[name] for name in tables}
        if is_other or not _is_made_of(bento.path, sources):
            with _context(build) as context:
                _stage(context, bento.tag, bundle, sources)
                save_online_tables(published, edition, tables, context / "online")
                _build(build, bento.tag)
            _install(build, bento.path)
    return bento


def packed_snapshots(bento: PackedBento) -> Mapping[str, int]:
    """The snapshots of the online tables in a Bento, by table; none when it is not there."""
    manifest = bento.path / "src" / "online" / MANIFEST
    return dict(json.loads(manifest.read_text())["snapshots"]) if manifest.exists() else {}


def bentoml_home(settings: Settings) -> Path:
    """BENTOML_HOME of the project: its Bento store and what a running server writes."""
    return settings.home / "bentoml"


def _stage(context: Path, tag: str, bundle: Bundle, sources: str) -> None:
    for name in SOURCES:
        shutil.copytree(_ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
    bundle.write(context / "bundle")
    (context / _DIGEST).write_text(sources)
    (context / "pyproject.toml").write_text(_BUILD.format(model=bundle.model, digest=_DIGEST))
    (context / "README.md").write_text(_README.format(model=bundle.model, version=bundle.version, tag=tag))


def _build(build: Path, tag: str) -> None:
    # A store of its own beside the context: inside it BentoML would copy the store into itself.
    own = {"BENTOML_HOME": str(build / "store"), "BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1"}
    own["PATH"] = f"{_uncalled_uv(build / 'bin')}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    command = [sys.executable, "-m", "bentoml", "build", "--version", tag.partition(":")[2], "."]
    done = subprocess.run(
        command, cwd=build / "context", env=inherited | own, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackagingFailed(tag, f"{done.stdout}\n{done.stderr}")


def _uncalled_uv(folder: Path) -> Path:
    # BentoML looks for uv, and would install it into our environment, although a locked build never calls it.
    folder.mkdir()
    uv = folder / "uv"
    uv.write_text("#!/bin/sh\necho 'the requirements are locked: nothing is left for uv to do' >&2\nexit 1\n")
    uv.chmod(0o755)
    return folder


def _install(build: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(build / "replaced")
    (build / "store" / "bentos" / place.parent.name / place.name).rename(place)
    latest = build / "latest"
    latest.write_text(place.name)
    latest.replace(place.parent / "latest")


def _is_made_of(place: Path, sources: str) -> bool:
    digest = place / "src" / _DIGEST
    return digest.exists() and digest.read_text() == sources


def sources_digest() -> str:
    """SHA-256 of the serving code and of the Python it runs on."""
    files = [file for name in SOURCES for file in sorted((_ROOT / name).rglob("*")) if file.is_file()]
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        if "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(_ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


@contextmanager
def _context(build: Path) -> Iterator[Path]:
    # BentoML refuses to build below a hidden folder, which the home folder is by default: hence elsewhere.
    with tempfile.TemporaryDirectory(prefix="headwater-bento-") as elsewhere:
        context = build / "context"
        context.symlink_to(elsewhere, target_is_directory=True)
        yield context


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[Path]:
    # A folder of its own each time: a killed packer's BentoML may still be writing into the last one.
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for left in folder.glob(f"{name}.*/"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=folder, ignore_cleanup_errors=True) as build:
            yield Path(build)

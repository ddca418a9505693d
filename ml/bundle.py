"""A model on disk: a directory of text files, named by their digest.

Where bundles are kept is the registry's matter, which of them serves the ledger's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ml import canonical
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.engines import ENGINES
from ml.errors import BundleRefused

FORMAT = 1
INDEX = "bundle.json"
_IDENTITY = ("contract.json", "declaration.json", "features.sql", "receipt.json")
FILES = (*_IDENTITY, "origin.json")  # beside the model itself, whose file is named by its engine
_MODELS = tuple(sorted(engine.file for engine in ENGINES.values()))
CALIBRATION = "calibration.json"  # where one is declared; part of the version
BESIDE = (
    "fingerprint.json",
    "provenance.json",
    "samples.json",
)  # where kept; bundles of no project or of before have none


@dataclass(frozen=True)
class Bundle:
    """The files by name, without the index.

    `receipt.json` says what made the model; `origin.json` says from which edition its rows were read and
    which were kept for testing. It is not part of the version: the same training rows are the same model.
    Nor are, where there are such, `provenance.json`, all that the version can be made from again,
    `samples.json`, what it must say of some rows, and `fingerprint.json`, the training rows' values counted.
    """

    files: Mapping[str, bytes]

    @cached_property
    def version(self) -> str:
        """SHA-256 over names and digests of the files that make the model, 64 hex digits."""
        also = [name for name in (CALIBRATION,) if name in self.files]
        names = sorted((*_IDENTITY, *also, *self._model_files))
        lines = (f"{canonical.digest(self.files[name])}  {name}\n" for name in names)
        return canonical.digest("".join(lines))

    @cached_property
    def contract(self) -> Contract:
        """Request, features, label."""
        return Contract.from_json(self.files["contract.json"])

    @cached_property
    def declaration(self) -> ModelDeclaration:
        """The declaration the model was trained by."""
        return ModelDeclaration.parse(json.loads(self.files["declaration.json"]))

    @cached_property
    def receipt(self) -> Mapping[str, Any]:
        """What made it: rows, seed, versions of libraries, digest of the feature SQL."""
        return _object(self.files["receipt.json"])

    @cached_property
    def origin(self) -> Mapping[str, Any]:
        """The edition and snapshots its rows were read from, and the test rows set aside then."""
        return _object(self.files["origin.json"])

    @property
    def model(self) -> str:
        """The model's name."""
        return self.contract.model

    @property
    def feature_sql(self) -> str:
        """The feature table's SQL for serving."""
        return self.files["features.sql"].decode()

    @property
    def fitted(self) -> str:
        """The engine's text of the model; its file is named by the engine."""
        return self.files[self._model_files[0]].decode()

    @property
    def calibration(self) -> str | None:
        """The text of the step from score to probability; None where none is declared."""
        return self.files[CALIBRATION].decode() if CALIBRATION in self.files else None

    @property
    def engine(self) -> str:
        """The name of the engine that fitted it, by its file."""
        return next(name for name, engine in ENGINES.items() if engine.file == self._model_files[0])

    @property
    def _model_files(self) -> tuple[str, ...]:
        return tuple(name for name in _MODELS if name in self.files)

    @property
    def index(self) -> bytes:
        """The content of `bundle.json`: format, version, digest of each file. Written last."""
        digests = {name: canonical.digest(content) for name, content in self.files.items()}
        return canonical.dumps({"format": FORMAT, "version": self.version, "files": digests}).encode()

    def write(self, directory: Path) -> None:
        """Write all files into the directory, the index last."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in (*self.files.items(), (INDEX, self.index)):
            (directory / name).write_bytes(content)


def load(directory: Path) -> Bundle:
    """Read and verify; raises BundleRefused naming the file that is missing, changed or unknown."""
    present = (
        {file.name: file.read_bytes() for file in sorted(directory.iterdir())} if directory.is_dir() else {}
    )
    return verified(present, str(directory))


def verified(files: Mapping[str, bytes], place: str, version: str | None = None) -> Bundle:
    """A bundle from its files and index; raises BundleRefused when they aren't what the index says.

    `place` is where they were read, for messages; `version` is what the caller expects, if he knows it.
    """
    if INDEX not in files:
        raise BundleRefused(place, INDEX, "it is missing, so that nothing says the bundle is complete")
    index = _index(files[INDEX], place)
    for name in sorted(set(FILES) | set(index["files"]) | set(files) - {INDEX}):
        if name not in (*FILES, CALIBRATION, *BESIDE, *_MODELS) or name not in index["files"]:
            raise BundleRefused(place, name, "it is no file of this format, or the index doesn't name it")
        if name not in files:
            raise BundleRefused(place, name, "it is missing")
        found = canonical.digest(files[name])
        if found != index["files"][name]:
            raise BundleRefused(place, name, f"its SHA-256 is {found}, the index says {index['files'][name]}")
    bundle = Bundle({name: content for name, content in files.items() if name != INDEX})
    if len(bundle._model_files) != 1:
        expected = " or ".join(f'"{name}"' for name in _MODELS)
        raise BundleRefused(place, INDEX, f"it must name one model, {expected}")
    for claim, claimed in (("the index says", index["version"]), ("wanted is", version or bundle.version)):
        if bundle.version != claimed:
            raise BundleRefused(place, INDEX, f"its files make version {bundle.version}, {claim} {claimed}")
    return bundle


def _index(content: bytes, place: str) -> dict[str, Any]:
    try:
        index = json.loads(content)
        if index["format"] != FORMAT:
            raise BundleRefused(place, INDEX, f"format {index['format']!r} is unknown; this reads {FORMAT}")
        return {"files": dict(index["files"]), "version": str(index["version"])}
    except (ValueError, KeyError, TypeError) as damage:
        raise BundleRefused(place, INDEX, f"it can't be read ({damage!r})") from damage


def _object(content: bytes) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = json.loads(content)
    return parsed

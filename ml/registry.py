"""Where bundles and evaluations are kept, by model and version, on any fsspec store.

It doesn't know which version is the champion.
"""

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml.bundle import INDEX, Bundle, verified
from ml.errors import (
    BundleTooLarge,
    EvaluationNotFound,
    NoSuchVersion,
    SeveralVersions,
    VersionNotFound,
    nearest,
)


@dataclass(frozen=True)
class Registry:
    """A registry at an fsspec URL, such as `file:///srv/registry` or `s3://bucket/registry`."""

    url: str

    @cached_property
    def _store(self) -> tuple[Any, str]:
        import fsspec

        fs, root = fsspec.core.url_to_fs(self.url)
        return fs, str(root).rstrip("/")

    def uri(self, model: str, version: str) -> str:
        """Where the bundle is or would be."""
        return f"{self.url.rstrip('/')}/{model}/{version}/bundle"

    def put(self, bundle: Bundle) -> str:
        """Store a bundle, its index last; one that is there already stays as it is. Returns its URI."""
        folder = self._path(bundle.model, bundle.version, "bundle")
        if not self._store[0].exists(f"{folder}/{INDEX}"):
            for name, content in (*sorted(bundle.files.items()), (INDEX, bundle.index)):
                self._write(f"{folder}/{name}", content)
        return self.uri(bundle.model, bundle.version)

    def get(self, model: str, version: str, max_bytes: int | None = None) -> Bundle:
        """Read and verify a bundle of at most so many bytes.

        Raises VersionNotFound, BundleTooLarge, or BundleRefused naming the damaged file.
        """
        folder = self._path(model, version, "bundle")
        fs = self._store[0]
        if not fs.exists(f"{folder}/{INDEX}"):
            raise VersionNotFound(model, version, self.url, nearest(version, self.versions(model)))
        listed = fs.ls(folder, detail=True, refresh=True)
        n_bytes = sum(file["size"] or 0 for file in listed)
        if max_bytes is not None and n_bytes > max_bytes:
            raise BundleTooLarge(self.uri(model, version), n_bytes, max_bytes)
        names = [file["name"].rsplit("/", 1)[-1] for file in listed]
        files = {name: fs.cat_file(f"{folder}/{name}") for name in names if not name.startswith(".")}
        return verified(files, self.uri(model, version), version)

    def versions(self, model: str) -> tuple[str, ...]:
        """Versions whose bundle is complete, sorted by name."""
        fs = self._store[0]
        found = fs.glob(f"{self._path(model)}/*/bundle/{INDEX}")
        return tuple(sorted(path.split("/")[-3] for path in found))

    def find(self, prefix: str) -> tuple[str, str]:
        """Model and version of the one complete bundle whose version begins so.

        Raises NoSuchVersion or SeveralVersions.
        """
        fs = self._store[0]
        paths = (path.split("/") for path in fs.glob(f"{self._path('*', '*')}/bundle/{INDEX}"))
        known = sorted((path[-4], path[-3]) for path in paths)
        found = [(model, version) for model, version in known if version.startswith(prefix)]
        if not found:
            raise NoSuchVersion(prefix, [version[:12] for _, version in known], self.url)
        if len(found) > 1:
            raise SeveralVersions(prefix, [f"{version[:12]} of {model}" for model, version in found])
        return found[0]

    def put_evaluation(self, model: str, version: str, evaluation_id: str, files: dict[str, bytes]) -> str:
        """Store the files of an evaluation, `evaluation.json` last; returns the URI of its folder."""
        folder = self._path(model, version, "evaluations", evaluation_id)
        for name in sorted(files, key=lambda name: (name == "evaluation.json", name)):
            self._write(f"{folder}/{name}", files[name])
        return f"{self.url.rstrip('/')}/{model}/{version}/evaluations/{evaluation_id}"

    def get_evaluation(self, model: str, version: str, evaluation_id: str, name: str) -> bytes:
        """One file of an evaluation; raises EvaluationNotFound."""
        try:
            content = self._store[0].cat_file(self._path(model, version, "evaluations", evaluation_id, name))
        except FileNotFoundError as missing:
            raise EvaluationNotFound(model, version, evaluation_id, name, self.url) from missing
        return bytes(content)

    def put_backtest(self, model: str, code: str, files: dict[str, bytes]) -> str:
        """Store the backtest of what models are made by (`code`) in place of the one before; its URI."""
        for name in sorted(files):
            self._write(self._path(model, "backtests", code, name), files[name])
        return f"{self.url.rstrip('/')}/{model}/backtests/{code}"

    def get_backtest(self, model: str, code: str, name: str = "backtest.json") -> bytes | None:
        """One file of it; None where there is none."""
        fs, path = self._store[0], self._path(model, "backtests", code, name)
        return bytes(fs.cat_file(path)) if fs.exists(path) else None

    def _path(self, *steps: str) -> str:
        return "/".join((self._store[1], *steps))

    def _write(self, path: str, content: bytes) -> None:
        fs = self._store[0]
        folder, name = path.rsplit("/", 1)
        fs.makedirs(folder, exist_ok=True)
        # A file takes its name when it is whole, since two processes may store the same version at once.
        partial = f"{folder}/.{name}.{uuid.uuid4().hex}"
        fs.pipe_file(partial, content)
        fs.mv(partial, path)

"""Importing a library without the optional companions it would load although nobody uses them.

It is no way to replace a module: what is already imported stays.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder


class _Absent(MetaPathFinder):
    """Reports modules as not installed, to one thread."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002
        if fullname.partition(".")[0] in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is left out here", name=fullname)


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let imports of these packages fail in this thread while it lasts.

    LightGBM tries seven optional packages: 7.7 CPU-seconds and 200 MB with them, 1.6 and 64 without.
    """
    absent = _Absent(names)
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)

"""Keeps large libraries out of the endpoint that its requirements don't name but a development machine has.

Which libraries the endpoint does need is said in requirements.lock.
"""

import sys
from collections.abc import Sequence
from types import ModuleType

# LightGBM and PyArrow import these when they find them: 2 to 6 CPU-seconds at start and 140 MB, for nothing.
UNUSED = frozenset({"dask", "distributed", "matplotlib", "pandas", "sklearn"})


class _Unused:
    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        if name in UNUSED:
            raise ModuleNotFoundError(f"{name} is not used by the endpoint", name=name)


def keep_out_unused() -> None:
    """From now on an import of one of them fails as if it weren't installed; those imported stay."""
    if not any(isinstance(finder, _Unused) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Unused())

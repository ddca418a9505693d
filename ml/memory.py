"""Memory of large columns: given back to the system as soon as it is free.

Allocators keep what was freed for later; by the time a model is fitted that is as much again as its rows.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

_MMAP_THRESHOLD = -3  # of glibc's mallopt
_LARGE, _AS_ELSEWHERE = 4 << 20, 32 << 20  # bytes; the latter is as far as glibc goes by itself


@contextmanager
def given_back() -> Iterator[None]:
    """Meanwhile this process maps large blocks one by one, and each is unmapped when it is free.

    Not for long: what is mapped for a moment only costs more. Where the C library is not glibc its own ways
    remain. Arrow's columns come from the C library from then on.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda *_: None)
    mallopt(_MMAP_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _AS_ELSEWHERE)


def give_back() -> None:
    """Give what is free to the system now."""
    pa.default_memory_pool().release_unused()
    getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)(0)

"""Ends a worker whose parent is gone, so that it doesn't keep the port from the next start.

How a worker ends in an orderly way is uvicorn's matter.
"""

import os
import signal
import threading
import time

_EVERY_S = 0.5


def end_with_parent() -> None:
    """Watch from a thread: a parent that was killed can't end its workers itself."""
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="orphans", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)

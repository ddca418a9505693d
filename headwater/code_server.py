"""Dagster's code server, with runs that start warm: `python -m headwater.code_server`.

Each run is a process of its own, as Dagster makes them, but forked from one that has imported the libraries:
a third of what a day's run would take from nothing. None of the project's own code is loaded ahead.
"""

import multiprocessing
import sys
from typing import Any

import dagster._grpc.server as grpc_server
from dagster._cli import main


class WarmServer(grpc_server.DagsterApiServer):  # type: ignore[misc]  # Dagster is Any here
    """The server, starting runs from a fork server; that one is started by the first run."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["headwater.preloaded"])
        self._mp_ctx: Any = context


if __name__ == "__main__":
    grpc_server.DagsterApiServer = WarmServer
    sys.argv[1:1] = ["api", "grpc"]
    main()

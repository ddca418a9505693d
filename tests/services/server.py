"""`bentoml serve` in a process of its own, waited for and ended with everything it started."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

READY_S = 60


class Server:
    """A running endpoint; its output is in `log`."""

    def __init__(self, tag: str, bentoml_home: Path, environment: Mapping[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
        own = {
            "BENTOML_HOME": str(bentoml_home),
            "BENTOML_DO_NOT_TRACK": "True",
            "HEADWATER_PORT": str(self.port),
        }
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bentoml", "serve", tag],
                env={**clean, **own, **environment},
                cwd=log.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.log = log
        self.client = httpx.Client(base_url=self.url, timeout=10)
        self._family: list[psutil.Process] = []

    def wait_until_ready(self) -> None:
        """Returns when /readyz says so; fails with the log when the process ends or time is up."""
        wait_for(self._is_ready, READY_S, self.log.read_text)
        parent = psutil.Process(self.process.pid)
        self._family = [parent, *parent.children(recursive=True)]

    def predict(self, *instances: Mapping[str, Any]) -> httpx.Response:
        """One request."""
        return self.client.post("/predict", json={"instances": list(instances)})

    def model(self) -> dict[str, Any]:
        """What /model says."""
        described: dict[str, Any] = self.client.get("/model").json()
        return described

    def left(self) -> list[int]:
        """Processes of this server that still live."""
        return [process.pid for process in self._family if process.is_running() and not _is_zombie(process)]

    def stop(self) -> None:
        """End it and, if it does not, all it started."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(self._family, timeout=20)
        for process in alive:
            process.kill()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False


def wait_for(
    condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str] = lambda: ""
) -> None:
    """Poll a condition; fails when it has not come true in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s. {otherwise()}"
        time.sleep(0.05)


def free_port() -> int:
    """A port nobody listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True

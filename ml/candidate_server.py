"""A packed Bento, served for as long as it is asked: on a free port of this machine, following nothing.

What is asked, and whether the answers are right, is the caller's matter.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from ml.errors import CandidateNotServed
from ml.packaging import PackedBento, bentoml_home
from ml.settings import Settings

_START_S = 120.0
_ASK_S = 30.0
_OK = 200
_FAILED, _TIMES = b"Traceback (most recent call last)", 2
_MAX_OUTPUT = 2**20


@dataclass(frozen=True)
class CandidateServer:
    """A server that answers; one connection, one request after the other."""

    connection: http.client.HTTPConnection

    def predict(self, instances: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any] | str]:
        """A request each, with the features told: the prediction, or in words why there is none."""
        return [self._predicted(one) for one in instances]

    def describe(self) -> Mapping[str, Any]:
        """What `GET /model` tells."""
        self.connection.request("GET", "/model")
        told: Mapping[str, Any] = json.loads(self.connection.getresponse().read())
        return told

    def _predicted(self, instance: Mapping[str, Any]) -> Mapping[str, Any] | str:
        body = json.dumps({"instances": [instance]}).encode()
        self.connection.request("POST", "/predict?features=true", body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        text = response.read()
        if response.status != _OK:
            return f"refused with {response.status}: {text.decode(errors='replace')[:300]}"
        (prediction,) = json.loads(text)["predictions"]
        told: Mapping[str, Any] = prediction
        return told


@contextmanager
def serve(settings: Settings, bento: PackedBento) -> Iterator[CandidateServer]:
    """Serve a Bento of the project's store; raises CandidateNotServed with the end of its output."""
    port = _free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    own = {
        "BENTOML_HOME": str(bentoml_home(settings)),
        "BENTOML_DO_NOT_TRACK": "True",
        "HEADWATER_PORT": str(port),
        "HEADWATER_PREDICTION_LOG": "off",
    }
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bentoml", "serve", bento.tag],
            env=inherited | own,
            cwd=tempfile.gettempdir(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ASK_S)
        try:
            if not _is_ready(process, port, output):
                raise CandidateNotServed(bento.tag, _said(output)[-2000:].decode(errors="replace"))
            yield CandidateServer(connection)
        finally:
            connection.close()
            _end(process)


def _is_ready(process: subprocess.Popen[bytes], port: int, output: IO[bytes]) -> bool:
    # BentoML starts a worker that fails again and again: once it has said why, there is nothing to wait for.
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None and not _fails(output):
        # The port takes connections before a worker is there to answer: so not for long each.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/livez")
            if connection.getresponse().status == _OK:
                return True
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    return False


def _fails(output: IO[bytes]) -> bool:
    return _said(output).count(_FAILED) >= _TIMES


def _said(output: IO[bytes]) -> bytes:
    """What the server has written so far; its own place in the file stays where it is."""
    return os.pread(output.fileno(), _MAX_OUTPUT, 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

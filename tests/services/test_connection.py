"""Requests answered where their bytes arrive, beside the same answered as usual: nobody can tell which."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ml.access_keys import add_key
from ml.packaging import PackedBento
from services.access import Access
from services.connection import connection, plain
from services.edge import Edge
from services.endpoint import Endpoint
from services.metrics import Metrics
from tests.services import toy
from tests.services.project import SETTINGS, Project
from tests.services.server import wait_for

KEEP_ALIVE_S = 1
BODY = json.dumps({"instances": [toy.instance()]}).encode()
JSON = ("Content-Type: application/json",)
Answer = tuple[int, dict[str, str], Any]


class Listening:
    """A uvicorn server in a thread; `n_at_once` counts what its connections answered at once."""

    def __init__(self, endpoint: Endpoint, *, is_at_once: bool) -> None:
        self.edge = Edge(_nobody, endpoint)
        self.n_at_once = 0
        answered = self.edge.at_once
        self.edge.at_once = partial(self._counted, answered)  # type: ignore[method-assign]
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        kind = connection(self.edge) if is_at_once else HttpToolsProtocol
        config = uvicorn.Config(
            self.edge, http=kind, log_config=None, lifespan="off", timeout_keep_alive=KEEP_ALIVE_S
        )
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        wait_for(lambda: self.server.started, 10)

    def _counted(self, answer: Callable[..., Any], *given: Any) -> Any:
        self.n_at_once += 1
        return answer(*given)

    def stop(self) -> None:
        """Drain and end."""
        self.server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def endpoint(packed: tuple[Project, PackedBento]) -> Iterator[Endpoint]:
    """What is packed, not started."""
    settings = replace(SETTINGS, packed=Path(packed[1].path / "src"), max_body_bytes=100_000)
    endpoint = Endpoint(settings, Metrics(CollectorRegistry()))
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def usual(endpoint: Endpoint) -> Iterator[Listening]:
    """uvicorn as it comes."""
    listening = Listening(endpoint, is_at_once=False)
    yield listening
    listening.stop()


@pytest.fixture
def at_once(endpoint: Endpoint) -> Iterator[Listening]:
    """With connections that answer at once."""
    listening = Listening(endpoint, is_at_once=True)
    yield listening
    listening.stop()


def request(
    path: str = "/predict", body: bytes = BODY, *fields: str, method: str = "POST", version: str = "1.1"
) -> bytes:
    """A request as bytes; its length is declared unless fields say how long it is."""
    own = [*fields] if fields else [*JSON]
    if not any(re.match("(?i)content-length|transfer-encoding", one) for one in own):
        own.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([f"{method} {path} HTTP/{version}", "Host: here", *own])
    return head.encode() + b"\r\n\r\n" + body


def asked(listening: Listening, parts: Sequence[bytes], n_answers: int = 1) -> list[Answer]:
    """Send parts, each as a segment of its own, and read so many answers."""
    with socket.create_connection(listening.address, timeout=10) as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n, part in enumerate(parts):
            if n:
                time.sleep(0.02)
            caller.sendall(part)
        return _read(caller, n_answers)


def _read(caller: socket.socket, n_answers: int) -> list[Answer]:
    answers: list[Answer] = []
    file = caller.makefile("rb")
    for _ in range(n_answers):
        response = HTTPResponse(_Held(file))  # type: ignore[arg-type]
        response.begin()
        body = response.read()
        told = {name.lower(): value for name, value in response.getheaders() if name.lower() != "date"}
        if body and "json" in told.get("content-type", ""):
            answer = json.loads(body)
            answer.pop("id", None)
            answers.append((response.status, told, answer))
        else:
            answers.append((response.status, told, body))
    return answers


class _Held:
    """A file that several responses are read from."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def makefile(self, _: str) -> Any:
        """Not closed by the response that is read from it."""
        return _Open(self._file)


class _Open:
    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """It stays open."""


async def _nobody(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


LARGE = json.dumps({"instances": [toy.instance()] * 60}).encode()
HALF = len(BODY) // 2
WHOLE = request()
# What is sent, in which parts; how many answers there are; how many of them are given at once.
CASES: dict[str, tuple[list[bytes], int, int]] = {
    "whole": ([WHOLE], 1, 1),
    "scores": ([request("/score", b'{"instances": [{}]}')], 1, 1),
    "the model named": ([request("/predict/long_trip")], 1, 1),
    "another model named": ([request("/predict/nobody")], 1, 1),
    "head, then body": ([WHOLE[: -len(BODY)], BODY], 1, 1),
    "a body in halves": ([WHOLE[:-HALF], WHOLE[-HALF:]], 1, 1),
    "in small pieces": ([WHOLE[at : at + 40] for at in range(0, len(WHOLE), 40)], 1, 0),
    "one after the other": ([WHOLE, WHOLE, WHOLE], 3, 3),
    "pipelined": ([WHOLE + WHOLE], 2, 0),
    "pipelined, then one": ([WHOLE + WHOLE, WHOLE], 3, 1),
    "one and a part of the next": ([WHOLE + WHOLE[:30], WHOLE[30:]], 2, 0),
    "one and another in its body's place": ([WHOLE[: -len(BODY)], BODY + WHOLE], 2, 0),
    "a line before": ([b"\r\n" + WHOLE], 1, 0),
    "a query": ([request("/predict?explain=true")], 1, 0),
    "a query that is none": ([request("/predict?explain=yes")], 1, 0),
    "a page, then one": ([request("/readyz", b"", "Accept: */*", method="GET"), WHOLE], 2, 1),
    "another path": ([request("/nowhere")], 1, 0),
    "a path in escapes": ([request("/%70redict")], 1, 0),
    "another method": ([request(method="PUT")], 1, 0),
    "a large body": ([request(body=LARGE)], 1, 0),
    "too large a body": ([request(body=b" " * 100_001)], 1, 0),
    "no JSON": ([request(body=b"{")], 1, 1),
    "no instances": ([request(body=b"{}")], 1, 1),
    "an empty body": ([request(body=b"")], 1, 1),
    "a wrong value": ([request(body=b'{"instances": [{"zone": 5}]}')], 1, 1),
    "another type": ([request("/predict", BODY, "Content-Type: text/csv")], 1, 0),
    "a type with a charset": (
        [request("/predict", BODY, "Content-Type: application/json; charset=utf-8")], 1, 1
    ),
    "chunked": ([request("/predict", _chunked(BODY), *JSON, "Transfer-Encoding: chunked")], 1, 0),
    "chunked with a length": (
        [request("/predict", _chunked(BODY), *JSON, "Transfer-Encoding: chunked", "Content-Length: 5")], 1, 0
    ),
    "two lengths": (
        [request("/predict", BODY, *JSON, f"Content-Length: {len(BODY)}", "Content-Length: 3")], 1, 0
    ),
    "a length that is no number": ([request("/predict", BODY, *JSON, "Content-Length: +5")], 1, 0),
    "a field that is none": ([request("/predict", BODY, *JSON, "no field")], 1, 0),
    "a space before the colon": ([request("/predict", BODY, *JSON, "X-One : 1")], 1, 0),
    "kept alive": ([request("/predict", BODY, *JSON, "Connection: keep-alive"), WHOLE], 2, 2),
    "to be closed": ([request("/predict", BODY, *JSON, "Connection: close")], 1, 0),
    "an older version": ([request(version="1.0")], 1, 0),
    "an expectation": ([request("/predict", BODY, *JSON, "Expect: 200-maybe")], 1, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_the_usual_one(usual: Listening, at_once: Listening, name: str) -> None:
    parts, n_answers, n_at_once = CASES[name]
    found = asked(at_once, parts, n_answers)
    assert found == asked(usual, parts, n_answers)
    assert (at_once.n_at_once, usual.n_at_once) == (n_at_once, 0)


def test_an_expected_continue_is_sent(at_once: Listening) -> None:
    head = request("/predict", BODY, *JSON, "Expect: 100-continue")[: -len(BODY)]
    with socket.create_connection(at_once.address, timeout=10) as caller:
        caller.sendall(head)
        assert caller.recv(100).startswith(b"HTTP/1.1 100 Continue")
        caller.sendall(BODY)
        assert _read(caller, 1)[0][0] == 200


def test_keys_are_checked(at_once: Listening, endpoint: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = add_key(file, "one", ("predict",))
    open_to_all, endpoint.access = endpoint.access, Access(file)
    try:
        ((status, told, _),) = asked(at_once, [WHOLE])
        assert (status, told["www-authenticate"]) == (401, "Bearer")
        with_key = request("/predict", BODY, *JSON, f"Authorization: Bearer {key}")
        assert asked(at_once, [with_key])[0][0] == 200
    finally:
        endpoint.access = open_to_all
    assert at_once.n_at_once == 2


def test_a_failure_is_told_and_the_connection_stays(
    at_once: Listening, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    with socket.create_connection(at_once.address, timeout=10) as caller:
        with monkeypatch.context() as broken:
            broken.setattr(endpoint, "predict", fail)
            caller.sendall(WHOLE)
            ((status, _, told),) = _read(caller, 1)
        assert (status, told["type"]) == (500, "urn:headwater:problem:failed")
        assert "broken" not in json.dumps(told)
        caller.sendall(WHOLE)
        assert _read(caller, 1)[0][0] == 200


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(at_once: Listening) -> None:
    with socket.create_connection(at_once.address, timeout=10) as caller:
        for _ in range(4):
            caller.sendall(WHOLE)
            assert _read(caller, 1)[0][0] == 200
            time.sleep(0.6 * KEEP_ALIVE_S)
        assert caller.recv(1) == b""  # after the time to keep alive, no answer being due


def test_a_slow_body_is_waited_for(at_once: Listening) -> None:
    with socket.create_connection(at_once.address, timeout=10) as caller:
        caller.sendall(WHOLE)
        assert _read(caller, 1)[0][0] == 200
        caller.sendall(WHOLE[:-5])
        time.sleep(1.5 * KEEP_ALIVE_S)
        caller.sendall(WHOLE[-5:])
        assert _read(caller, 1)[0][0] == 200


def test_a_request_half_sent_is_answered_before_the_server_ends(at_once: Listening) -> None:
    with socket.create_connection(at_once.address, timeout=10) as caller:
        caller.sendall(WHOLE[:-5])
        time.sleep(0.2)
        at_once.server.should_exit = True
        time.sleep(0.5)
        caller.sendall(WHOLE[-5:])
        ((status, told, _),) = _read(caller, 1)
        assert (status, told["connection"]) == (200, "close")


def test_who_leaves_early_disturbs_nobody(at_once: Listening) -> None:
    for cut in (10, len(WHOLE) - len(BODY), len(WHOLE) - 5):
        with socket.create_connection(at_once.address, timeout=10) as caller:
            caller.sendall(WHOLE[:cut])
    assert asked(at_once, [WHOLE])[0][0] == 200


@pytest.mark.parametrize("field", ["X-A: \x00", "X-A: \x7f", "X A: 1", ": 1", "X-A: é", " folded"])
def test_a_field_that_the_parser_might_refuse_is_left_to_it(field: str) -> None:
    head = request("/predict", BODY, *JSON, field)[: -len(BODY) - 4]
    assert plain(head) is None

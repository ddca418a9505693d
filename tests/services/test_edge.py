"""What is refused at the edge, before a body is looked at, and what is left to BentoML."""

import asyncio
import json
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ml.packaging import PackedBento
from services.edge import Edge
from services.endpoint import Endpoint
from services.metrics import Metrics
from tests.services import toy
from tests.services.project import SETTINGS, Project

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def endpoint(packed: tuple[Project, PackedBento]) -> Iterator[Endpoint]:
    """What is packed, with a limit of 1000 bytes a body; not started, so it follows nothing."""
    endpoint = Endpoint(replace(SETTINGS, packed=Path(packed[1].path / "src")), Metrics(CollectorRegistry()))
    yield endpoint
    endpoint.close()


def send(
    endpoint: Endpoint, path: str, method: str = "POST", headers: Mapping[str, str] = JSON, *parts: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the reply to a request that comes in parts."""
    sent: list[MutableMapping[str, Any]] = []
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0)

    async def reply(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def bentoml(*_: Any) -> None:
        sent.append({"status": 0, "headers": []})
        sent.append({"body": b"from BentoML"})

    scope = {
        "type": "http",
        "path": path,
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Edge(bentoml, endpoint)(scope, receive, reply))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, sent[1]["body"]


def test_a_body_in_parts_is_answered(endpoint: Endpoint) -> None:
    body = json.dumps({"instances": [toy.instance()]}).encode()
    status, headers, reply = send(endpoint, "/predict", "POST", JSON, body[:10], body[10:])
    assert (status, headers["content-type"]) == (200, "application/json")
    assert len(json.loads(reply)["predictions"]) == 1


@pytest.mark.parametrize(
    ("request_", "status", "kind"),
    [
        (("GET", JSON), 405, "wrong-method"),
        (("POST", {"content-type": "text/csv"}, b"a,b"), 415, "wrong-media-type"),
        (("POST", JSON | {"content-length": "1001"}), 413, "body-too-large"),
        (("POST", JSON, b" " * 600, b" " * 600), 413, "body-too-large"),
        (("POST", JSON, b"{"), 400, "not-json"),
        (("POST", {}, b"{}"), 422, "invalid-instances"),
    ],
)
def test_bad_requests(endpoint: Endpoint, request_: tuple[Any, ...], status: int, kind: str) -> None:
    found, told, body = send(endpoint, "/predict", *request_)
    assert (found, told["content-type"]) == (status, "application/problem+json")
    assert json.loads(body)["type"] == f"urn:headwater:problem:{kind}"
    assert told.get("allow") == ("POST" if status == 405 else None)


def test_other_paths_are_bentomls(endpoint: Endpoint) -> None:
    assert send(endpoint, "/livez", "GET")[2] == b"from BentoML"


def test_the_page_loads_nothing_from_elsewhere(endpoint: Endpoint) -> None:
    status, headers, page = send(endpoint, "/", "GET")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"://" not in page


def test_the_model_is_described(endpoint: Endpoint) -> None:
    described = json.loads(send(endpoint, "/model", "GET")[2])
    assert described["model"] == {"name": toy.MODEL, "version": endpoint.serving.bundle.version}
    assert described["edition"]["id"] == 1
    assert described["features_as_of"] == "2024-03-05T23:00:00Z"
    assert described["failures"] == []


def test_a_fault_of_ours_is_a_500_without_its_trace(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    healthy = endpoint.serving
    endpoint.serving = replace(healthy, scorer=None)  # type: ignore[arg-type]
    try:
        body = json.dumps({"instances": [toy.instance()]}).encode()
        status, _, reply = send(endpoint, "/predict", "POST", JSON, body)
    finally:
        endpoint.serving = healthy
    assert status == 500
    assert b"NoneType" not in reply
    assert "NoneType" in caplog.text

"""The packed endpoint as a user runs it: a real `bentoml serve`, real HTTP, a real ledger."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping

import httpx
import pytest

from ml.bundle import Bundle
from ml.packaging import PackedBento, bentoml_home
from ml.prediction_log.reading import find
from tests.services import toy
from tests.services.project import Project
from tests.services.server import Server, wait_for

Packed = tuple[Project, PackedBento]


def _started(packed: Packed, folder: pytest.TempPathFactory, **environment: str) -> Server:
    project, bento = packed
    server = Server(
        bento.tag, bentoml_home(project.settings), environment, folder.mktemp("log") / "serve.log"
    )
    try:
        server.wait_until_ready()
    except BaseException:
        server.stop()
        raise
    return server


@pytest.fixture(scope="module")
def server(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An endpoint that follows the project."""
    server = _started(packed, tmp_path_factory, **packed[0].environment)
    yield server
    server.stop()


class Asking:
    """A client that asks all the time, and counts what it is answered."""

    def __init__(self, url: str) -> None:
        self.statuses: Counter[int] = Counter()
        self.versions: list[str] = []
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10) as client:
            while not self._stop.is_set():
                answer = client.post("/predict", json={"instances": [toy.instance()]})
                self.statuses[answer.status_code] += 1
                self.versions.append(answer.json()["model"]["version"])


def test_answers_in_order_with_the_version(server: Server, bundles: Mapping[str, Bundle]) -> None:
    answer = server.predict(toy.instance(), toy.instance(3, zone_id="airport"), toy.instance())
    told = answer.json()
    assert answer.status_code == 200
    assert told["model"] == {"name": toy.MODEL, "version": bundles["first"].version}
    assert told["features_as_of"] == "2024-03-05T23:00:00Z"
    assert [p["trip_id"] for p in told["predictions"]] == [
        "d1-20240305T1200Z",
        "d1-20240305T1500Z",
        "d1-20240305T1200Z",
    ]
    assert told["predictions"][0] == told["predictions"][2] != told["predictions"][1]


def test_a_bad_request_is_told_what_is_wrong(server: Server) -> None:
    refused = server.predict(toy.instance(), toy.instance(passengers=99))
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert refused.json()["errors"][0]["field"] == "instances[1].passengers"


def test_bentomls_own_routes_remain(server: Server) -> None:
    assert {
        server.client.get(path).status_code for path in ("/", "/livez", "/readyz", "/metrics", "/docs.json")
    } == {200}
    assert 'headwater_requests_total{status="200"}' in server.client.get("/metrics").text


@pytest.mark.parametrize("path", ["/predict", "/score"])
def test_the_example_of_the_document_can_be_sent_as_it_is(server: Server, path: str) -> None:
    post = server.client.get("/docs.json").json()["paths"][path]["post"]
    example = post["requestBody"]["content"]["application/json"]["example"]
    answer = server.client.post(path, json=example).json()
    told = post["responses"]["200"]["content"]["application/json"]["example"]
    assert answer == told | {"id": answer["id"]}


ASKING = """
import bentoml, json, sys
with bentoml.SyncHTTPClient(sys.argv[1]) as client:
    print(json.dumps(client.predict(instances=json.loads(sys.argv[2]))))
"""


def test_bentomls_own_client_is_answered(server: Server) -> None:
    command = [sys.executable, "-c", ASKING, server.url, json.dumps([toy.instance()])]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(told)["predictions"] == server.predict(toy.instance()).json()["predictions"]


def test_every_answer_is_logged_with_what_it_was_made_of(server: Server, packed: Packed) -> None:
    folder = packed[0].settings.prediction_log
    asked = {"instances": [toy.instance(), toy.instance(zone_id="nowhere")]}
    told = server.client.post("/predict", json=asked).json()
    wait_for(lambda: server.client.get("/model").json()["log"]["n_queued"] == 0, 5)
    rows = find(folder, told["id"])
    assert rows["score"].to_pylist() == [one["score"] for one in told["predictions"]]
    assert rows["version"].to_pylist() == [told["model"]["version"]] * 2
    assert json.loads(rows["request"][0].as_py()) == asked
    values = rows["values"].to_pylist()
    assert [one["zone_id"] for one in values] == ["centre", "nowhere"]
    assert rows.schema.metadata[b"features"] == b"zone_id,passengers,starts_hour,speed_mean_kmh"
    given = {name: values[0][name] for name in rows.schema.metadata[b"features"].decode().split(",")}
    again = server.client.post("/score", json={"instances": [given]}).json()
    assert again["predictions"] == [{"score": told["predictions"][0]["score"]}]
    assert again["id"] != told["id"]


def test_a_promoted_version_answers_without_a_failed_request(
    server: Server, packed: Packed, bundles: Mapping[str, Bundle]
) -> None:
    project, first, second = packed[0], bundles["first"].version, bundles["second"].version
    project.register(bundles["second"])
    with Asking(server.url) as asking:
        wait_for(lambda: len(asking.versions) > 5, 10)
        project.promote(second)
        wait_for(lambda: asking.versions[-1] == second, 15)
    assert set(asking.statuses) == {200}
    assert asking.versions == sorted(asking.versions, key=[first, second].index)
    wait_for(lambda: project.loaded() == [first, second], 5)


def test_a_damaged_version_is_not_taken(
    server: Server, packed: Packed, bundles: Mapping[str, Bundle]
) -> None:
    project, third = packed[0], bundles["third"].version
    project.register(bundles["third"])
    project.damage(third)
    project.promote(third)
    wait_for(lambda: bool(server.model()["failures"]), 10)
    failure = server.model()["failures"][0]
    assert (failure["what"], failure["which"]) == ("model", third)
    assert "trees.txt" in failure["message"]
    assert server.predict(toy.instance()).json()["model"]["version"] == bundles["second"].version
    assert server.client.get("/readyz").status_code == 200
    assert 'headwater_load_failures_total{what="model"}' in server.client.get("/metrics").text


def test_a_new_edition_is_taken(server: Server, packed: Packed) -> None:
    packed[0].publish(toy.zone_speed(n_days=toy.N_DAYS + 1))
    wait_for(lambda: server.model()["features_as_of"] == "2024-03-06T23:00:00Z", 15)
    assert server.predict(toy.instance()).json()["features_as_of"] == "2024-03-06T23:00:00Z"


def test_a_killed_parent_leaves_no_worker(server: Server) -> None:
    assert len(server.left()) >= 2
    server.process.kill()
    server.process.wait(10)
    wait_for(lambda: not server.left(), 10)


def test_alone_it_serves_what_is_packed_and_sigterm_ends_it(
    packed: Packed, tmp_path_factory: pytest.TempPathFactory, bundles: Mapping[str, Bundle]
) -> None:
    server = _started(packed, tmp_path_factory)
    try:
        assert server.model()["follows_ledger"] is False
        assert server.predict(toy.instance()).json()["model"]["version"] == bundles["first"].version
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not server.left(), 15)
    finally:
        server.stop()


def test_a_request_under_way_is_finished_when_it_is_told_to_end(
    packed: Packed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = _started(packed, tmp_path_factory)
    body = json.dumps({"instances": [toy.instance()]}).encode()
    lines = (
        "POST /predict HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    head = "".join(f"{line}\r\n" for line in (*lines, ""))
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head.encode() + body[:20])
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.7)
            connection.sendall(body[20:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        wait_for(lambda: not server.left(), 15)
    finally:
        server.stop()

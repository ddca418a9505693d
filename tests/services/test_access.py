"""Keys: who may ask what, how often, and how keys change while the endpoint answers; TLS by file."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import trustme
from prometheus_client import CollectorRegistry

from ml.access_keys import add_key, revoke_key
from ml.errors import AccessKeysMissing, AccessKeysUnreadable, SettingRefused
from ml.packaging import PackedBento, bentoml_home
from services.access import Access
from services.endpoint import Endpoint
from services.metrics import Metrics
from services.problems import Kind, RequestRefused
from services.settings import ServingSettings
from tests.services import toy
from tests.services.project import SETTINGS, Project
from tests.services.server import Server, wait_for
from tests.services.test_edge import JSON, send

Packed = tuple[Project, PackedBento]
BODY = json.dumps({"instances": [toy.instance()]}).encode()
EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def endpoint(packed: Packed, keys: Path) -> Iterator[Endpoint]:
    """What is packed, on an address that others reach."""
    add_key(keys, "first", ["admin"])
    settings = replace(SETTINGS, packed=Path(packed[1].path / "src"), host=EVERYWHERE, keys=keys)
    endpoint = Endpoint(settings, Metrics(CollectorRegistry()))
    yield endpoint
    endpoint.close()


def status(endpoint: Endpoint, path: str, key: str | None, scheme: str = "Bearer") -> int:
    method, body = ("POST", (BODY,)) if path in ("/predict", "/score") else ("GET", ())
    headers = JSON | ({"authorization": f"{scheme} {key}"} if key is not None else {})
    return send(endpoint, path, method, headers, *body)[0]


def test_loopback_needs_no_key_and_others_do_not_start_without(keys: Path) -> None:
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "::1"):
        Access.of(host, None, named=False).check("admin", [])
    for host in (EVERYWHERE, "10.0.0.1", "::", "example.org"):
        for file in (None, keys):
            with pytest.raises(AccessKeysMissing, match="headwater key add NAME"):
                Access.of(host, file, named=False)
    with pytest.raises(AccessKeysMissing):
        Access.of("127.0.0.1", keys, named=True)
    keys.write_text("[{}]")
    with pytest.raises(AccessKeysUnreadable, match=r"missing required field `name`"):
        Access.of(EVERYWHERE, keys, named=False)


def test_every_path_asks_for_the_scope_it_needs(endpoint: Endpoint, keys: Path) -> None:
    predict = add_key(keys, "asks", ["predict"])
    receipts = add_key(keys, "audits", ["receipts"])
    admin = add_key(keys, "runs", ["admin"])
    endpoint.access._looked -= 1
    asked = {
        path: [status(endpoint, path, key) for key in (None, "hw_wrong", predict, receipts, admin)]
        for path in ("/predict", "/model", "/docs.json", "/receipt/x", "/metrics", "/", "/readyz", "/livez")
    }
    assert asked == {  # 0 is BentoML's own, which is passed on; 404 an answer that nobody gave
        "/predict": [401, 401, 200, 403, 200],
        "/model": [401, 401, 200, 403, 200],
        "/docs.json": [401, 401, 0, 403, 0],
        "/receipt/x": [401, 401, 403, 404, 404],
        "/metrics": [401, 401, 403, 403, 0],
        "/": [200] * 5,
        "/readyz": [200] * 5,
        "/livez": [0] * 5,
    }


def test_a_refusal_says_what_to_send(endpoint: Endpoint) -> None:
    found, headers, body = send(endpoint, "/predict", "POST", JSON, BODY)
    assert (found, headers["www-authenticate"]) == (401, "Bearer")
    told = json.loads(body)
    assert (told["type"], "Authorization: Bearer" in told["detail"]) == ("urn:headwater:problem:no-key", True)
    assert [status(endpoint, "/predict", "x", scheme) for scheme in ("Basic", "", "Bearer")] == [401] * 3


def test_keys_change_without_a_restart_and_a_broken_file_changes_nothing(
    endpoint: Endpoint, keys: Path
) -> None:
    old = add_key(keys, "old", ["predict"])
    wait_for(lambda: status(endpoint, "/predict", old) == 200, 2)
    new = add_key(keys, "new", ["predict"])
    revoke_key(keys, "old")
    wait_for(lambda: status(endpoint, "/predict", old) == 401, 2)
    assert status(endpoint, "/predict", new) == 200
    whole = keys.read_bytes()
    for broken in (whole[:40], None):
        keys.unlink() if broken is None else keys.write_bytes(broken)
        endpoint.access._looked -= 1
        assert (status(endpoint, "/predict", new), status(endpoint, "/predict", old)) == (200, 401)
    keys.write_bytes(whole)


def test_a_key_that_asks_too_often_waits_and_others_do_not(keys: Path) -> None:
    often, other = add_key(keys, "often", ["predict"], per_second=5), add_key(keys, "other", ["predict"])
    now = [0.0]
    access = Access(keys, lambda: now[0])

    def asked(key: str) -> float:
        try:
            access.check("predict", [(b"authorization", f"bearer {key}".encode())])
        except RequestRefused as refused:
            assert refused.kind is Kind.TOO_OFTEN
            return refused.retry_after_s or 0
        return 0

    assert [asked(often) for _ in range(10)] == [0] * 10
    assert asked(often) == pytest.approx(0.2)
    assert [asked(other) for _ in range(100)] == [0] * 100
    now[0] = 0.2
    assert [asked(often) > 0 for _ in range(2)] == [False, True]


def test_the_endpoint_is_not_ready_when_features_are_older_than_declared(endpoint: Endpoint) -> None:
    assert send(endpoint, "/readyz", "GET")[0] == 200
    healthy = endpoint.serving
    endpoint.serving = replace(healthy, max_age=timedelta(hours=36))
    found, _, body = send(endpoint, f"/readyz/{toy.MODEL}", "GET")
    endpoint.serving = healthy
    assert found == 503
    assert "declared are at most 36 h (features.max_age_hours)" in json.loads(body)["detail"]


def test_an_unknown_path_is_a_problem_that_names_the_nearest(endpoint: Endpoint) -> None:
    found, headers, body = send(endpoint, "/predictions", "GET")
    assert (found, headers["content-type"]) == (404, "application/problem+json")
    assert "Did you mean '/predict'" in json.loads(body)["detail"]


def test_certificate_and_key_go_together(monkeypatch: pytest.MonkeyPatch, keys: Path) -> None:
    keys.write_text("")
    monkeypatch.setenv("HEADWATER_TLS_CERT", str(keys))
    with pytest.raises(SettingRefused, match="HEADWATER_TLS_KEY"):
        ServingSettings.from_env()


def test_beyond_loopback_it_answers_over_tls_to_those_with_a_key(packed: Packed, tmp_path: Path) -> None:
    project, bento = packed
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    environment = {
        "HEADWATER_HOST": EVERYWHERE,
        "HEADWATER_KEYS": str(tmp_path / "keys.json"),
        "HEADWATER_TLS_CERT": str(tmp_path / "cert.pem"),
        "HEADWATER_TLS_KEY": str(tmp_path / "key.pem"),
    }
    refused = Server(bento.tag, bentoml_home(project.settings), environment, tmp_path / "refused.log")
    try:
        wait_for(lambda: "AccessKeysMissing" in refused.log.read_text(), 30, refused.log.read_text)
        assert refused.process.wait(20) != 0
    finally:
        refused.stop()

    key = add_key(tmp_path / "keys.json", "asks", ["predict"])
    server = Server(bento.tag, bentoml_home(project.settings), environment, tmp_path / "serve.log")
    server.client = httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=trusted, timeout=10)
    try:
        server.wait_until_ready()
        asked = {"instances": [toy.instance()]}
        assert server.client.post("/predict", json=asked).status_code == 401
        shown = {"Authorization": f"Bearer {key}"}
        assert server.client.post("/predict", json=asked, headers=shown).status_code == 200
    finally:
        server.stop()

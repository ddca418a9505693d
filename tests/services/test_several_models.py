"""An endpoint of a project with several models: which answer, where, and since when."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from ml.bundle import Bundle
from ml.packaging import PackedBento
from services.endpoint import Endpoint
from services.metrics import Metrics
from services.openapi import document
from tests.services import toy
from tests.services.project import SETTINGS, Project
from tests.services.server import wait_for
from tests.services.test_edge import JSON, send

OTHER = "trip_minutes"


@pytest.fixture(scope="module")
def other() -> Bundle:
    """A model of another task over the same table."""
    return toy.bundle(task="regression", name=OTHER)


@contextmanager
def following(project: Project, packed: PackedBento, patch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name, value in project.environment.items():
        patch.setenv(name, value)
    settings = replace(SETTINGS, packed=Path(packed.path / "src"))
    endpoint = Endpoint(settings, Metrics(CollectorRegistry()))
    endpoint.start()
    try:
        yield endpoint
    finally:
        endpoint.close()


@pytest.fixture
def endpoint(
    project: Project,
    packed: tuple[Project, PackedBento],
    other: Bundle,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Endpoint]:
    """One that follows a project in which the other model was promoted before it started."""
    project.register(other)
    project.promote(other.version, OTHER)
    with following(project, packed[1], monkeypatch) as endpoint:
        yield endpoint


def asked() -> bytes:
    return json.dumps({"instances": [toy.instance()]}).encode()


def test_each_model_answers_at_a_path_of_its_own(
    endpoint: Endpoint, other: Bundle, bundles: Mapping[str, Bundle]
) -> None:
    for path, model, output in (
        ("/predict", toy.MODEL, "score"),
        (f"/predict/{toy.MODEL}", toy.MODEL, "score"),
        (f"/predict/{OTHER}", OTHER, "prediction"),
    ):
        status, _, body = send(endpoint, path, "POST", JSON, asked())
        told = json.loads(body)
        assert (status, told["model"]["name"]) == (200, model)
        assert output in told["predictions"][0]
    described = json.loads(send(endpoint, f"/model/{OTHER}", "GET")[2])
    assert described["model"] == {"name": OTHER, "version": other.version}
    assert described["task"] == "regression"
    own = json.loads(send(endpoint, "/model", "GET")[2])
    assert own["model"]["name"] == toy.MODEL
    assert own["models"] == [toy.MODEL, OTHER]


def test_a_model_that_is_not_there_is_refused_with_the_nearest(endpoint: Endpoint) -> None:
    for method, path in (("POST", "/predict/trip_minuets"), ("GET", "/model/trip_minuets")):
        status, headers, body = send(endpoint, path, method, JSON, asked())
        assert (status, headers["content-type"]) == (404, "application/problem+json")
        assert "trip_minutes" in json.loads(body)["detail"]
    assert send(endpoint, f"/predict/{OTHER}", "GET")[0] == 405


def test_the_document_has_every_model_with_schemas_of_its_own(endpoint: Endpoint) -> None:
    told = document(endpoint.serving, [endpoint.models[OTHER].serving])
    ways = {"/predict", "/score", "/model"}
    assert ways | {f"{way}/{OTHER}" for way in ways} <= told["paths"].keys()
    schemas = told["components"]["schemas"]
    assert "score" in schemas["Prediction"]["properties"]
    assert "prediction" in schemas[f"{OTHER}.Prediction"]["properties"]
    named = {
        part.split('"')[0].removeprefix("#/components/schemas/")
        for part in json.dumps(told, default=str).split('"$ref": "')[1:]
    }
    assert named <= schemas.keys()
    operations = [
        method["operationId"]
        for path in told["paths"].values()
        for method in path.values()
        if "operationId" in method
    ]
    assert len(operations) == len(set(operations)) == 4


def test_what_is_promoted_while_it_runs_answers_and_is_followed(
    project: Project,
    bundles: Mapping[str, Bundle],
    packed: tuple[Project, PackedBento],
    other: Bundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with following(project, packed[1], monkeypatch) as endpoint:
        assert list(endpoint.models) == [toy.MODEL]
        project.register(other)
        project.promote(other.version, OTHER)
        wait_for(lambda: OTHER in endpoint.models, 10)
        newer = toy.bundle(seed=2, task="regression", name=OTHER)
        project.register(newer)
        project.promote(newer.version, OTHER)
        wait_for(lambda: endpoint.models[OTHER].serving.bundle.version == newer.version, 10)
    assert project.loaded(OTHER) == [other.version, newer.version]
    assert endpoint.serving.bundle.version == bundles["first"].version


def test_one_that_does_not_load_keeps_no_other_from_answering(
    project: Project, packed: tuple[Project, PackedBento], other: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.register(other)
    project.promote(other.version, OTHER)
    project.damage(other.version, OTHER)
    with following(project, packed[1], monkeypatch) as endpoint:
        assert send(endpoint, "/predict", "POST", JSON, asked())[0] == 200
        assert send(endpoint, f"/predict/{OTHER}", "POST", JSON, asked())[0] == 404
        (failure,) = json.loads(send(endpoint, "/model", "GET")[2])["failures"]
    assert (failure["what"], failure["which"]) == (f"model {OTHER}", other.version)

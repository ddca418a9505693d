"""Rows of feature values as an Arrow stream score as JSON does, are logged alike, and refused by column."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from ml.packaging import PackedBento
from ml.prediction_log.reading import find
from services.arrow_body import MEDIA_TYPE
from services.endpoint import Endpoint
from services.metrics import Metrics
from tests.services.project import SETTINGS, Project
from tests.services.server import wait_for
from tests.services.test_edge import JSON, send

ARROW = {"content-type": MEDIA_TYPE}
ROWS = [
    {"zone_id": "centre", "passengers": 2, "starts_hour": 12, "speed_mean_kmh": 31.5},
    {"zone_id": "nowhere", "passengers": None, "starts_hour": 3, "speed_mean_kmh": None},
    {"zone_id": None, "passengers": 8, "starts_hour": 23, "speed_mean_kmh": -0.0},
]


@pytest.fixture
def endpoint(packed: tuple[Project, PackedBento], tmp_path: Path) -> Iterator[Endpoint]:
    """What is packed, with a log."""
    settings = replace(
        SETTINGS, packed=Path(packed[1].path / "src"), max_body_bytes=10**6, log=tmp_path, follow=False
    )
    endpoint = Endpoint(settings, Metrics(CollectorRegistry()))
    endpoint.start()
    yield endpoint
    endpoint.close()


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def asked(endpoint: Endpoint, table: pa.Table, path: str = "/score") -> tuple[int, Any]:
    status, _, body = send(endpoint, path, "POST", ARROW, stream(table))
    return status, json.loads(body)


def test_it_scores_and_logs_as_json_does(endpoint: Endpoint, tmp_path: Path) -> None:
    status, told = asked(endpoint, pa.Table.from_pylist(ROWS))
    _, _, body = send(endpoint, "/score", "POST", JSON, json.dumps({"instances": ROWS}).encode())
    plain = json.loads(body)
    assert (status, told["predictions"]) == (200, plain["predictions"])
    assert [len(one.get("warnings", ())) for one in told["predictions"]] == [0, 1, 0]
    wait_for(lambda: json.loads(send(endpoint, "/model", "GET")[2])["log"]["n_queued"] == 0, 5)
    logged, other = find(tmp_path, told["id"]), find(tmp_path, plain["id"])
    assert logged["values"].to_pylist() == other["values"].to_pylist() == ROWS
    assert logged["score"] == other["score"]


def test_kinds_that_hold_the_same_values_are_taken(endpoint: Endpoint) -> None:
    table = pa.table(
        {
            "speed_mean_kmh": pa.array([31.5, float("nan"), -0.0], pa.float32()),
            "passengers": pa.array([2.0, None, 8.0]),
            "starts_hour": pa.array([12, 3, 23], pa.int8()),
            "zone_id": pa.array(["centre", "nowhere", None]).dictionary_encode(),
        }
    )
    expected = asked(endpoint, pa.Table.from_pylist(ROWS))[1]["predictions"]
    for wide in (pa.uint8(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()):
        cast = table.set_column(1, "passengers", table["passengers"].cast(wide))
        assert asked(endpoint, cast)[1]["predictions"] == expected, wide
    assert asked(endpoint, table)[1]["predictions"] == expected
    assert asked(endpoint, table.select(["zone_id"]))[0] == 200


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("passengers", pa.array([2.5]), "passengers: must be a whole number"),
        ("passengers", pa.array(["2"]), "passengers: must be a whole number"),
        ("passengers", pa.array([2**53 + 1]), "passengers: must be a whole number from -9007199254740992"),
        ("passengers", pa.array([1, -(2**53) - 1]), "passengers: must be a whole number"),
        ("passengers", pa.array([2**63], pa.uint64()), "passengers: must be a whole number"),
        ("passengers", pa.array([1e300]), "passengers: must be a whole number"),
        ("zone_id", pa.array([1]), "zone_id: must be text"),
        ("speed_mean_kmh", pa.array([float("inf")]), "speed_mean_kmh: must be finite"),
        (
            "speed_kmh",
            pa.array([1.0]),
            "speed_kmh: is no field, or there twice. Did you mean 'speed_mean_kmh'",
        ),
        ("passengers", pa.array([1] * 11), "instances: must be 1 to 10 rows"),
        ("passengers", pa.array([], pa.int64()), "instances: must be 1 to 10 rows"),
    ],
)
def test_what_does_not_fit_is_named(endpoint: Endpoint, column: str, values: pa.Array, said: str) -> None:
    status, told = asked(endpoint, pa.table({column: values}))
    assert (status, told["type"]) == (422, "urn:headwater:problem:invalid-instances")
    assert said in told["detail"]


def test_other_bytes_and_other_paths_are_refused(endpoint: Endpoint) -> None:
    whole = stream(pa.Table.from_pylist(ROWS))
    for body in (b"", b"{}", whole[:200], whole[:-40], b"\xff" * 300):
        status, _, told = send(endpoint, "/score", "POST", ARROW, body)
        assert status in (400, 422), told
    assert asked(endpoint, pa.Table.from_pylist(ROWS), "/predict")[0] == 415

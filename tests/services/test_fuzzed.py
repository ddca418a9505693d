"""Bodies that nobody would send, and those a generator makes of the document: never a 5xx."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ml.packaging import PackedBento, bentoml_home
from tests.services import toy
from tests.services.project import Project
from tests.services.server import Server

N_BODIES = 10_000
Packed = tuple[Project, PackedBento]
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 2**70, 1e308, -0.0, 1e-320, 0.1, "", " ",
    "a" * 300,
    "\0", "\ud83d\ude00", "2024-03-05T12:00:00Z", "2024-03-05T12:00:00+23:59", "2024-02-30T00:00:00Z",
    "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "2024-03-05", "NaN", "-1", "1e5", "null", [], {},
    [[]], [None], {"a": 1}, "centre", "' or 1=1 --", "../../etc/passwd",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """What is packed, alone."""
    server = Server(
        packed[1].tag, bentoml_home(packed[0].settings), {}, tmp_path_factory.mktemp("log") / "serve.log"
    )
    server.wait_until_ready()
    yield server
    server.stop()


def mutated(rng: random.Random, good: Mapping[str, Any]) -> bytes:
    """A body that may be whole, have odd values and fields, or be bytes of another kind."""
    rows = [dict(good) for _ in range(rng.choice((0, 1, 1, 1, 2, 12)))]
    for row in rows:
        for _ in range(rng.randint(0, 3)):
            row[rng.choice([*good, "more", ""])] = rng.choice(ODD)
        if rng.random() < 0.3:
            row.pop(rng.choice([*row]), None)
    whole: Any = {"instances": rows}
    if rng.random() < 0.2:
        whole = rng.choice((rows, whole | {"more": 1}, {"instances": rng.choice(ODD)}, *ODD))
    body = json.dumps(whole, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    act: Callable[[bytes], bytes] = rng.choice(
        (
            lambda one: one,
            lambda one: one,
            lambda one: one[: rng.randint(0, len(one))],
            lambda one: one.replace(b"1", b"NaN", 1),
            lambda one: one + b"\xff",
            lambda one: bytes(byte ^ (rng.random() < 0.01) for byte in one),
            lambda one: one.replace(b"[", b"[" * rng.choice((2, 2000)), 1),
        )
    )
    return act(body)


@pytest.mark.parametrize("path", ["/predict", "/score"])
def test_ten_thousand_bodies_give_no_5xx(server: Server, path: str) -> None:
    rng = random.Random(5)  # noqa: S311
    example = server.client.get("/docs.json").json()["paths"][path]["post"]["requestBody"]
    good = example["content"]["application/json"]["example"]["instances"][0]
    statuses: Counter[int] = Counter()
    for _ in range(N_BODIES // 2):
        body = mutated(rng, good)
        query = rng.choice(("", "", "", "?explain=true", "?features=true", "?explain=maybe"))
        told = server.client.post(path + query, content=body, headers={"Content-Type": "application/json"})
        statuses[told.status_code] += 1
        assert told.status_code < 500, body
        if told.status_code != 200:
            assert told.headers["content-type"] == "application/problem+json", body
            assert "Traceback" not in told.text
            assert told.json()["detail"]
    assert statuses[200] > 200 and statuses[422] > 200 and statuses[400] > 200, statuses
    assert server.predict(toy.instance()).status_code == 200


def test_a_generator_of_requests_finds_nothing(server: Server, tmp_path: Path) -> None:
    """What the document allows is answered, what it does not is refused, and answers are as it says."""
    options = "--checks all --max-examples 60 --seed 7 --no-color --phases examples,coverage,fuzzing"
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/docs.json"]
    told = subprocess.run(
        [*command, *options.split()], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr[-2000:]

"""Fifty champions in turn under load, bad ones among them: no request fails, every score is its version's."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import httpx
import psutil
import pyarrow as pa
import pytest

from ml.bundle import Bundle
from ml.declaration import ModelDeclaration
from ml.packaging import bentoml_home, pack
from ml.scoring import Scorer
from tests.services import toy
from tests.services.project import Project
from tests.services.server import Server, wait_for

N_SWAPS = 50
N_WORKERS = 2
N_CLIENTS = 4
SETTINGS = {"HEADWATER_WORKERS": str(N_WORKERS), "HEADWATER_MAX_MODEL_MB": "48", "HEADWATER_MAX_ROW_MS": "1"}
FEATURES = pa.table({"zone_id": ["centre"], "passengers": [2], "starts_hour": [12], "speed_mean_kmh": [31.0]})


@dataclass
class Load:
    """Clients that ask all the time, each over one connection, and keep what they are told."""

    url: str
    statuses: Counter[int] = field(default_factory=Counter)
    told: Counter[tuple[str, float]] = field(default_factory=Counter)
    last_of: dict[str, float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(N_CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self) -> None:
        body = {"instances": [toy.instance()]}
        with httpx.Client(base_url=self.url, timeout=10) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/predict", json=body)
                    self.statuses[answer.status_code] += 1
                    told = answer.json()
                    self.told[told["model"]["version"], told["predictions"][0]["score"]] += 1
                    self.last_of[told["model"]["version"]] = time.monotonic()
                except (httpx.HTTPError, KeyError) as failure:
                    self.errors.append(repr(failure))


def changed(bundle: Bundle, name: str, change: Callable[[bytes], bytes]) -> Bundle:
    """Whole by its index, and another inside."""
    assert change(bundle.files[name]) != bundle.files[name]
    return Bundle({**bundle.files, name: change(bundle.files[name])})


def requiring_more(contract: bytes) -> bytes:
    """A contract whose requests must say how many are in the car."""
    told = json.loads(contract)
    told["request"] = [one | {"is_required": True} for one in told["request"]]
    return json.dumps(told).encode()


def slow() -> Bundle:
    """Sixty thousand trees: more than two milliseconds a row."""
    declared = toy.declaration(9).model_dump(mode="json", exclude_none=True)
    declared["engine"]["parameters"] |= {"num_iterations": 60_000, "num_leaves": 4}
    return toy.bundle_of(ModelDeclaration.parse(declared))


BAD: Mapping[str, tuple[Callable[[Bundle], Bundle], str]] = {
    "trees cut short": (lambda one: changed(one, "trees.txt", lambda text: text[:900]), "refused to load"),
    "other trees": (
        lambda one: changed(one, "trees.txt", lambda text: re.sub(rb"(leaf_value=-?\d)\.\d", rb"\1.9", text)),
        "of samples.json scores",
    ),
    "trees that end the process which reads them": (
        lambda one: changed(one, "trees.txt", lambda text: text.replace(b"leaf_value=", b"leaf_value=1", 1)),
        "does not survive",
    ),
    "oversized": (lambda one: changed(one, "trees.txt", lambda text: text + b"\n" * 2**26), "at most 48"),
    "slow": (lambda _: slow(), "ms to score a row"),
    "a narrower contract": (
        lambda one: changed(one, "contract.json", requiring_more), '"passengers" is required',
    ),
    "damaged where it is kept": (lambda _: toy.bundle(77), "trees.txt"),
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """A running endpoint of two workers, and the versions it is given."""

    project: Project
    server: Server
    good: tuple[Bundle, ...]

    def versions(self) -> set[str]:
        """What answers at present, asked often enough that each worker is."""
        return {self.server.predict(toy.instance()).json()["model"]["version"] for _ in range(12)}

    def failures(self) -> list[str]:
        """Why what is wanted is not taken, by the worker that is asked."""
        return [failure["message"] for failure in self.server.model()["failures"]]

    def resident(self) -> int:
        """Bytes of the workers."""
        return sum(one.memory_info().rss for one in psutil.Process(self.server.process.pid).children())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("swaps")
    project, good = Project.in_folder(folder), tuple(toy.bundle(seed) for seed in range(20, 26))
    project.publish(toy.zone_speed())
    for bundle in good:
        project.register(bundle)
    project.promote(good[0].version)
    bento = pack(project.settings, good[0])
    server = Server(bento.tag, bentoml_home(project.settings), project.environment | SETTINGS, folder / "log")
    server.wait_until_ready()
    yield World(project, server, good)
    server.stop()


def test_fifty_champions_in_turn_fail_no_request(world: World) -> None:
    bad = [(what, make(world.good[0]), said) for what, (make, said) in BAD.items()]
    for what, bundle, _ in bad:
        world.project.register(bundle)
        if what == "damaged where it is kept":
            world.project.damage(bundle.version)
    resident: list[int] = []
    took: list[float] = []
    with Load(world.server.url) as load:
        for n in range(N_SWAPS):
            if n % 5 == 4:
                what, bundle, said = bad[n // 5 % len(bad)]
                before = world.versions()
                world.project.promote(bundle.version)
                wait_for(lambda: any(said in one for one in world.failures()), 20, lambda: f"{what}: {world.failures()}")  # fmt: skip  # noqa: B023, E501
                assert world.versions() == before
                continue
            wanted = world.good[n % len(world.good)].version
            started = time.monotonic()
            if n % 7 == 6:
                world.project.roll_back(wanted)
            else:
                world.project.promote(wanted)
            wait_for(lambda: world.versions() == {wanted}, 20, lambda: str(world.failures()))  # noqa: B023
            took.append(time.monotonic() - started)
            resident.append(world.resident())
    assert load.errors == []
    assert set(load.statuses) == {200}
    offline = {bundle.version: float(Scorer(bundle).score(FEATURES)[0]) for bundle in world.good}
    assert {version for version, _ in load.told} == set(offline)
    assert dict(list(load.told)) == offline and len(load.told) == len(offline)
    print(f"\n{sum(load.statuses.values()):,} requests, all 200; a swap took {sorted(took)[len(took) // 2]:.2f} s, at most {max(took):.2f} s; workers grew from {resident[4] / 2**20:.0f} to {resident[-1] / 2**20:.0f} MB")  # fmt: skip  # noqa: E501, T201
    assert resident[-1] < 1.2 * resident[4]  # once a model of 34 MB was looked at, some of its room stays
    assert resident[-1] < 1.05 * resident[-10]


def test_each_process_wrote_what_it_loaded(world: World) -> None:
    entries = [one for one in world.project.history() if one.kind == "loaded"]
    assert {one.version for one in entries} == {bundle.version for bundle in world.good}
    assert len({(one.details["pid"], one.details["worker"]) for one in entries}) == N_WORKERS

"""Who is asked: the endpoint, a bare echo, other servers of the same trees; how each is started and asked.

How much each is asked, and what is made of it, is not said here.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from benchmarks.serving.world import Model
from ml.packaging import bentoml_home
from ml.settings import Settings
from services.arrow_body import MEDIA_TYPE as ARROW

PEERS = Path(__file__).parent / "peers"
OURS, MLSERVER, OTHERS = "ours", "mlserver", "others"
_READY_S = 120.0
Values = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Contender:
    """`start` gives command and environment; `body` the JSON or bytes that ask about rows by their places.

    `told` finds the scores in an answer; None where an answer has none. `expected` are those of the model.
    """

    name: str
    env: str
    path: str
    start: Callable[["Started"], tuple[list[str], dict[str, str]]]
    body: Callable[[Model, range], Any]
    told: Callable[[Any], Sequence[float]] | None
    is_filled: bool = True


@dataclass(frozen=True)
class Started:
    """What a start needs: the model, a free port, workers, a folder of its own, Pythons by environment."""

    model: Model
    settings: Settings
    port: int
    workers: int
    folder: Path
    pythons: Mapping[str, Path]


def _uvicorn(started: Started, env: str, app: str) -> tuple[list[str], dict[str, str]]:
    command = [str(started.pythons[env]), "-m", "uvicorn", app, "--port", str(started.port)]
    command += ["--workers", str(started.workers), "--no-access-log", "--log-level", "warning"]
    return [*command, "--app-dir", str(PEERS)], {}


def _ours(started: Started) -> tuple[list[str], dict[str, str]]:
    env = {
        "BENTOML_HOME": str(bentoml_home(started.settings)),
        "HEADWATER_PORT": str(started.port),
        "HEADWATER_WORKERS": str(started.workers),
        "HEADWATER_PREDICTION_LOG": str(started.folder / "log"),
        "HEADWATER_MAX_BODY_BYTES": str(8 * 2**20),
    }
    return [sys.executable, "-m", "bentoml", "serve", started.model.bento.tag], env


def _unlogged(started: Started) -> tuple[list[str], dict[str, str]]:
    command, env = _ours(started)
    return command, env | {"HEADWATER_PREDICTION_LOG": "off"}


def _documented(started: Started) -> tuple[list[str], dict[str, str]]:
    command = [str(started.pythons[OTHERS]), "-m", "bentoml", "serve", "documented_bentoml:Documented"]
    return [*command, "--port", str(started.port), "--host", "127.0.0.1", "--working-dir", str(PEERS)], {}


def _litserve(started: Started) -> tuple[list[str], dict[str, str]]:
    return [str(started.pythons[OTHERS]), str(PEERS / "with_litserve.py")], {}


def _mlflow(started: Started) -> tuple[list[str], dict[str, str]]:
    python, saved = started.pythons[OTHERS], started.folder / "mlflow"
    env = {**os.environ, "BENCH_TREES": str(started.model.trees)}
    command = [str(python), str(PEERS / "to_mlflow.py"), str(saved)]
    subprocess.run(command, env=env, check=True, capture_output=True)
    command = [str(python.with_name("mlflow")), "models", "serve", "-m", str(saved), "--env-manager", "local"]
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"  # it starts the uvicorn that it finds there
    return [*command, "-h", "127.0.0.1", "-p", str(started.port), "-w", str(started.workers)], {"PATH": path}


def _mlserver(started: Started) -> tuple[list[str], dict[str, str]]:
    folder = started.folder / "mlserver"
    folder.mkdir()
    shutil.copy(started.model.trees, folder / "trees.txt")
    ports = {"http_port": started.port, "grpc_port": free_port(), "metrics_port": free_port()}
    # Its workers do the work of the one process that answers; 0 means in that process.
    told = {"host": "127.0.0.1", "debug": False, **ports}
    told |= {"parallel_workers": 0 if started.workers == 1 else started.workers}
    (folder / "settings.json").write_text(json.dumps(told))
    model = {"name": "late", "implementation": "mlserver_lightgbm.LightGBMModel"}
    (folder / "model-settings.json").write_text(json.dumps(model | {"parameters": {"uri": "./trees.txt"}}))
    return [str(started.pythons[MLSERVER].with_name("mlserver")), "start", str(folder)], {}


def _values(model: Model, places: range) -> list[list[float]]:
    found: list[list[float]] = model.matrix[list(places)].tolist()
    return found


def _v2(model: Model, places: range) -> Any:
    flat = [one for row in _values(model, places) for one in row]
    shape = [len(places), len(model.columns)]
    return {"inputs": [{"name": "rows", "shape": shape, "datatype": "FP64", "data": flat}]}


def _arrow(model: Model, places: range) -> bytes:
    sink = pa.BufferOutputStream()
    rows = model.table.slice(places.start, len(places))
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _scores(answer: Any) -> Sequence[float]:
    return [one["score"] for one in answer["predictions"]]


CONTENDERS = (
    Contender("bare ASGI echo", OURS, "/", lambda s: _uvicorn(s, OURS, "echo:app"),
              lambda m, p: {"instances": [m.features[n] for n in p]}, None),
    Contender("headwater /score", OURS, "/score", _ours,
              lambda m, p: {"instances": [m.features[n] for n in p]}, _scores, is_filled=False),
    Contender("headwater /score, Arrow", OURS, "/score", _ours, _arrow, _scores, is_filled=False),
    Contender("headwater /predict", OURS, "/predict", _ours,
              lambda m, p: {"instances": [m.entities[n] for n in p]}, _scores, is_filled=False),
    Contender("headwater /score, not logged", OURS, "/score", _unlogged,
              lambda m, p: {"instances": [m.features[n] for n in p]}, _scores, is_filled=False),
    Contender("BentoML as documented", OTHERS, "/predict", _documented,
              lambda m, p: {"rows": [dict(zip(m.columns, row, strict=True)) for row in _values(m, p)]}, list),
    Contender("FastAPI", OTHERS, "/predict", lambda s: _uvicorn(s, OTHERS, "with_fastapi:app"),
              lambda m, p: {"rows": _values(m, p)}, lambda answer: list(answer["scores"])),
    Contender("LitServe", OTHERS, "/predict", _litserve,
              lambda m, p: {"rows": _values(m, p)}, lambda answer: list(answer["scores"])),
    Contender("MLflow", OTHERS, "/invocations", _mlflow,
              lambda m, p: {"dataframe_split": {"columns": m.columns, "data": _values(m, p)}},
              lambda answer: list(answer["predictions"])),
    Contender("MLServer", MLSERVER, "/v2/models/late/infer", _mlserver, _v2,
              lambda answer: list(answer["outputs"][0]["data"])),
)  # fmt: skip


class Running:
    """A server that is up, with everything it started."""

    def __init__(self, contender: Contender, started: Started) -> None:
        self.contender, self.port = contender, started.port
        command, env = contender.start(started)
        own = {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1", "OMP_WAIT_POLICY": "passive"}
        own |= {"MLFLOW_DISABLE_TELEMETRY": "true", "BENCH_TREES": str(started.model.trees)}
        own |= {"BENCH_WORKERS": str(started.workers), "BENCH_PORT": str(started.port)}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
        self._log = started.folder / f"{contender.name.replace(' ', '_').replace('/', '')}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, env=clean | own | env, cwd=started.folder, stdout=log, stderr=subprocess.STDOUT
            )
        self._bodies: dict[int, Path] = {}
        self._model = started.model
        self._wait()

    def ask(self, n_connections: int, n_rows: int, seconds: float) -> dict[str, Any]:
        """What the load saw, with `cpu_us` of the server for a request."""
        before = self._cpu_s()
        command = [sys.executable, str(PEERS.parent / "load.py"), str(self.port), self.contender.path]
        command += [str(n_connections), str(seconds), str(self._file(n_rows))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told: dict[str, Any] = json.loads(done.stdout)
        told["cpu_us"] = 1e6 * (self._cpu_s() - before) / max(told["n"], 1) * seconds / (seconds + 0.5)
        self._check(told, n_rows)
        return told

    def stop(self) -> None:
        """End it and all it started."""
        family = (
            [self._parent(), *self._parent().children(recursive=True)]
            if psutil.pid_exists(self._process.pid)
            else []
        )
        for one in family:
            one.terminate()
        for one in psutil.wait_procs(family, timeout=10)[1]:
            one.kill()
        self._process.wait(10)

    def _file(self, n_rows: int) -> Path:
        """Bodies of different rows."""
        if n_rows not in self._bodies:
            starts = range(0, len(self._model.features), n_rows)
            bodies = [self.contender.body(self._model, range(at, at + n_rows)) for at in starts][:200]
            file = Path(tempfile.mkdtemp()) / "bodies.json"
            made = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in bodies]
            kind = ARROW if isinstance(bodies[0], bytes) else "application/json"
            told = {"type": kind, "bodies": [base64.b64encode(one).decode() for one in made]}
            file.write_text(json.dumps(told))
            self._bodies[n_rows] = file
        return self._bodies[n_rows]

    def _check(self, told: dict[str, Any], n_rows: int) -> None:
        """Raise SystemExit for answers that are no 200, or scores that are not the model's."""
        if set(told["statuses"]) - {"200"} or told["failures"] or not told["n"]:
            told_of = f"{told['statuses']} {told['failures']}"
            raise SystemExit(f"{self.contender.name}: {told_of} {self._log.read_text()[-2000:]}")
        if self.contender.told is None:
            return
        expected = self._model.filled if self.contender.is_filled else self._model.scores
        for place, body in told["bodies"].items():
            at = int(place) * n_rows
            for found, score in zip(
                self.contender.told(json.loads(body)), expected[at : at + n_rows], strict=True
            ):
                if abs(found - score) > 1e-12:
                    raise SystemExit(f"{self.contender.name} scores {found} where the model scores {score}")

    def _wait(self) -> None:
        until = time.monotonic() + _READY_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self.ask(1, 1, 0.1)
            except (subprocess.CalledProcessError, SystemExit):
                time.sleep(0.5)
            else:
                return
        raise SystemExit(f"{self.contender.name} did not come up:\n{self._log.read_text()[-4000:]}")

    def _cpu_s(self) -> float:
        total = 0.0
        for one in [self._parent(), *self._parent().children(recursive=True)]:
            try:
                times = one.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total

    def _parent(self) -> psutil.Process:
        return psutil.Process(self._process.pid)


def free_port() -> int:
    """A port that nobody has at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

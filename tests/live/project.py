"""A whole project running for tests: real processes on ports of their own, state in a folder of its own.

What must hold is the tests' matter.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """Status and decoded body of an HTTP answer."""

    status: int
    body: Any


@dataclass(frozen=True)
class Project:
    """One running project."""

    home: Path
    landing: Path
    ui_port: int
    endpoint_port: int
    code_port: int
    root: Path = ROOT

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process of it; nothing of the one that runs the tests leaks in."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HEADWATER_", "DAGSTER_"))
        }
        return kept | {
            "HEADWATER_PROJECT": str(self.root),
            "HEADWATER_HOME": str(self.home),
            "HEADWATER_LANDING": str(self.landing),
            "HEADWATER_UI_PORT": str(self.ui_port),
            "HEADWATER_ENDPOINT_PORT": str(self.endpoint_port),
            "HEADWATER_CODE_PORT": str(self.code_port),
        }

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.endpoint_port}"

    def headwater(
        self, *args: str, check: bool = True, timeout_s: float = 1200
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the project; one that fails is told with what it said, unless that is expected."""
        command = [sys.executable, "-m", "headwater", *args]
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"headwater {' '.join(args)}\n{done.stdout}{done.stderr}"
        return done

    def asked(self, *args: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.headwater(*args, "--json").stdout)

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = self.asked("status")
        return told

    def predict(self, instances: list[dict[str, Any]]) -> Answer:
        return ask(f"{self.endpoint}/predict", {"instances": instances})

    def champion(self, model: str = "late_arrival") -> str:
        version: str = self.status()["champions"][model]["version"]
        return version

    def graphql(self, query: str, **variables: Any) -> Any:
        answer = ask(f"{self.ui}/graphql", {"query": query, "variables": variables})
        assert answer.status == 200, answer.body
        assert not answer.body.get("errors"), answer.body["errors"]
        return answer.body["data"]

    def runs(self) -> list[dict[str, Any]]:
        """Runs, newest first."""
        query = (
            "{runsOrError {... on Runs {results {runId status jobName tags {key value} startTime endTime}}}}"
        )
        results: list[dict[str, Any]] = self.graphql(query)["runsOrError"]["results"]
        return results


def ask(url: str, body: Mapping[str, Any] | None = None) -> Answer:
    """POST a JSON body, or GET without one."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=30) as response:
            return Answer(response.status, json.load(response))
    except HTTPError as refusal:
        return Answer(refusal.code, json.loads(refusal.read() or b"null"))


def wait_for(what: str, is_so: Callable[[], bool], patience_s: float) -> None:
    """Wait until something holds; fails with its name when it does not in time."""
    until = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until, f"not within {patience_s:.0f} s: {what}"
        time.sleep(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

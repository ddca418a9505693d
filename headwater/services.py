"""Which processes make up a running project, and how each shows that it is ready.

Starting and stopping them is `stack`'s.
"""

import hashlib
import os
import ssl
from collections.abc import Callable
from http.client import HTTPResponse
from typing import cast
from urllib.error import URLError
from urllib.request import Request, urlopen

from headwater.instance import environment
from headwater.stack import HOST, Process, is_listening, python
from ml.packaging import sources_digest
from ml.settings import Settings

Ready = Callable[[], bool]
UI, DAEMON, CODE, ENDPOINT = "ui", "daemon", "code", "endpoint"
ALL = (DAEMON, UI, CODE, ENDPOINT)


def port(name: str) -> int:
    """A service's port: HEADWATER_UI_PORT, HEADWATER_ENDPOINT_PORT, HEADWATER_CODE_PORT, or its default."""
    defaults = {UI: 3000, ENDPOINT: 3030, CODE: 3031}
    return int(os.environ.get(f"HEADWATER_{name.upper()}_PORT", defaults[name]))


def url(name: str) -> str:
    """Where people and programs reach a service."""
    scheme = "https" if name == ENDPOINT and os.environ.get("HEADWATER_TLS_CERT") else "http"
    return f"{scheme}://{HOST}:{port(name)}"


def asked(request: Request, timeout_s: float) -> HTTPResponse:
    """What a service of this machine answers, which is trusted by the certificate it was given.

    Raises URLError or OSError.
    """
    context = None
    if request.type == "https":
        context = ssl.create_default_context(cafile=os.environ["HEADWATER_TLS_CERT"])
        context.check_hostname = False
    return cast(HTTPResponse, urlopen(request, timeout=timeout_s, context=context))  # noqa: S310


def code_server(settings: Settings) -> Process:
    """The one process that holds the asset definitions, for the UI, the daemon and the runs it starts."""
    command = python(
        "-m", "headwater.code_server", "--host", HOST, "--port", str(port(CODE)),
        "--module-name", "assets.definitions", "--lazy-load-user-code",  # a mistake is shown in the UI
        "--working-directory", str(settings.project), "--location-name", "headwater",
    )  # fmt: skip
    return Process(CODE, command, environment(settings), port(CODE), code_version(settings))


def code_version(settings: Settings) -> str:
    """A digest of what the code server loads: code, declarations, and the dbt project."""
    digest = hashlib.sha256()
    for folder in ("assets", "dbt_project", "headwater", "ml"):
        for file in sorted((settings.project / folder).rglob("*")):
            if file.suffix in {".py", ".sql", ".yaml", ".yml"}:
                digest.update(f"{file.relative_to(settings.project)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def ui(settings: Settings) -> Process:
    """Dagster's web server."""
    workspace = str(_workspace(settings))
    command = python("-m", "dagster_webserver", "--host", HOST, "--port", str(port(UI)), "-w", workspace)
    return Process(UI, command, environment(settings), port(UI))


def daemon(settings: Settings) -> Process:
    """What evaluates sensors and conditions and starts runs."""
    command = python("-m", "dagster._daemon", "run", "-w", str(_workspace(settings)))
    return Process(DAEMON, command, environment(settings), None)


def endpoint(settings: Settings, bento: str) -> Process:
    """BentoML serving a Bento of the project's store; it follows the ledger from there.

    It listens on loopback unless HEADWATER_HOST says otherwise, and is replaced when its code changed.
    """
    env = environment(settings) | {"HEADWATER_PORT": str(port(ENDPOINT))}
    command = python("-m", "bentoml", "serve", bento)
    return Process(ENDPOINT, command, env, port(ENDPOINT), sources_digest())


def answers(address: str) -> bool:
    """Whether an address gives a 200."""
    try:
        with asked(Request(address), 2) as response:  # noqa: S310  loopback
            return bool(response.status == 200)  # noqa: PLR2004
    except (URLError, OSError):
        return False


def ui_is_ready() -> bool:
    """Whether the UI answers."""
    return answers(url(UI) + "/server_info")


def endpoint_is_ready() -> bool:
    """Whether the endpoint answers, however old its features are."""
    return answers(url(ENDPOINT) + "/livez")


def code_is_ready() -> bool:
    """Whether the code server accepts connections."""
    return is_listening(port(CODE))


def _workspace(settings: Settings) -> str:
    file = settings.home / "run" / "workspace.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    location = f"{{host: {HOST}, port: {port(CODE)}, location_name: headwater}}"
    file.write_text(f"load_from:\n  - grpc_server: {location}\n")
    return str(file)

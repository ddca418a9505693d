"""A PostgreSQL server of the tests' own: on a free port, with its data in a folder that goes with it.

What the databases are used for is each test's own.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

_PATIENCE_S = 60
_NAMES = count(1)


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"tests_{next(_NAMES)}"
        with self._connect() as connection:
            connection.execute(f"create database {name}".encode())
        return f"postgresql://tests@127.0.0.1:{self.port}/{name}"

    def wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._connect().close()
            except psycopg.OperationalError:
                assert time.monotonic() < until, "PostgreSQL did not get ready"
                time.sleep(0.05)

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="tests", dbname="postgres", autocommit=True
        )


@contextmanager
def running() -> Iterator[Server]:
    """Make, start, and at the end stop and delete a server."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    # It refuses to run as root; Debian's package has made a user for it.
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data, port = str(folder / "data"), _free_port()
    made = [_program("initdb"), "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, **who)
    # No sync: nothing here has to outlive the machine; what a kill of a client leaves is the same.
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
    command = [_program("postgres"), "-D", data, *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **who)
    try:
        started = Server(port)
        started.wait()
        yield started
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: its data is deleted anyway
        server.wait(_PATIENCE_S)
        shutil.rmtree(folder)


def _program(name: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(versions[-1]) if versions else None)
    assert found, f"no {name}: run tests/install-postgresql"
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""The long-running processes of a project: started apart from the terminal, found again, stopped whole.

What runs in them is Dagster's and BentoML's; this only knows their command lines and their ports.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from headwater.errors import NotReady, PortTaken
from ml.settings import Settings

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Process:
    """One process to keep running; `port` is where it listens, None when it listens nowhere.

    One that runs with another `version` is replaced when it is started again.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    port: int | None
    version: str = ""


@dataclass(frozen=True)
class Running:
    """What is kept of a started process, to find it again: pid and its start time, since pids are reused."""

    name: str
    pid: int
    started: float
    port: int | None
    version: str = ""

    @property
    def is_alive(self) -> bool:
        return self._process() is not None

    def sweep(self, home: Path) -> None:
        """End what a killed process left behind: members of its session that belong to the same project."""
        left = [process for process in psutil.process_iter() if _is_left_behind(process, self.pid, home)]
        for process in left:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=10)

    @property
    def resident_bytes(self) -> int:
        """Memory of the process and all below it, each one's resident set."""
        return sum(_resident(process) for process in self._family())

    def stop(self, patience_s: float = 10.0) -> None:
        """End the process and everything below it: politely first, then for certain."""
        family = self._family()
        for process in family[:1]:
            _signal(process, signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=patience_s)
        for process in left:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=patience_s)

    def _process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            is_same = (
                abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return None
        return process if is_same else None

    def _family(self) -> list[psutil.Process]:
        process = self._process()
        return [process, *process.children(recursive=True)] if process else []


class Stack:
    """The processes of one project, remembered under its home folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._notes = settings.home / "run"

    def running(self) -> dict[str, Running]:
        """What was started and still lives, by name."""
        notes = (self._note(file.stem) for file in sorted(self._notes.glob("*.json")))
        return {note.name: note for note in notes if note and note.is_alive}

    def start(self, process: Process) -> Running:
        """Start a process unless it runs already; it outlives this one and has a log file of its own.

        Raises:
            PortTaken: something else listens on its port.
        """
        note = self._note(process.name)
        if note and note.is_alive and note.version == process.version:
            return note
        if note:
            note.stop()
            note.sweep(self._settings.home)
        if process.port and is_listening(process.port):
            raise PortTaken(name=process.name, port=process.port)
        self._notes.mkdir(parents=True, exist_ok=True)
        with self.log(process.name).open("ab") as log:
            child = subprocess.Popen(
                process.command,
                cwd=self._settings.project,
                env={**os.environ, **process.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = psutil.Process(child.pid).create_time()
        note = Running(process.name, child.pid, started, process.port, process.version)
        part = self._notes / f"{process.name}.part"
        part.write_text(json.dumps(asdict(note)))
        part.rename(self._notes / f"{process.name}.json")
        return note

    def stop(self, name: str) -> bool:
        """Stop one process; False when it did not run."""
        note = self._note(name)
        was_alive = note is not None and note.is_alive
        if note:
            note.stop()
            note.sweep(self._settings.home)
        (self._notes / f"{name}.json").unlink(missing_ok=True)
        return was_alive

    def _note(self, name: str) -> Running | None:
        file = self._notes / f"{name}.json"
        return Running(**json.loads(file.read_text())) if file.exists() else None

    def log(self, name: str) -> Path:
        """Where a process writes what it says."""
        folder = self._settings.home / "log"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def wait(self, running: Running, is_ready: Callable[[], bool], patience_s: float = 120.0) -> None:
        """Wait until a process says it is ready.

        Raises:
            NotReady: it ended, or its time is up; the error shows the end of its log.
        """
        until = time.monotonic() + patience_s
        while not is_ready():
            if not running.is_alive or time.monotonic() > until:
                raise NotReady(
                    name=running.name, log=self.log(running.name), tail=tail(self.log(running.name))
                )
            time.sleep(0.1)


def is_listening(port: int) -> bool:
    """Whether anything accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def python(*args: str) -> tuple[str, ...]:
    """A command line of this interpreter."""
    return (sys.executable, *args)


def _is_left_behind(process: psutil.Process, session: int, home: Path) -> bool:
    try:
        return os.getsid(process.pid) == session and process.environ().get("HEADWATER_HOME") == str(home)
    except (psutil.Error, ProcessLookupError, PermissionError):
        return False


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return

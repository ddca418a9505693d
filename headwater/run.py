"""One run of the asset graph in this process, told step by step.

Which days are due is `ml.arrivals`'; what an asset does is its own.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from headwater import services
from headwater.errors import RunFailed
from ml.arrivals import Segment
from ml.errors import HeadwaterError

OnStep = Callable[[str, float], None]
# What is under way, how much of it is done, of how much (None: that is not known), and a few words.
OnProgress = Callable[[str, int, int | None, str], None]


@dataclass(frozen=True)
class Told:
    """Who hears of a run: of steps done, of progress within one, of what is worth a remark."""

    step: OnStep
    progress: OnProgress
    remark: Callable[[str], None]


PID_TAG = "headwater/pid"


def end_dead_runs(*, code_server_lives: bool) -> None:
    """Tell Dagster of runs whose process was killed, so that nothing waits for them.

    A run is executed below the code server, or in a process that its tag names.
    """
    from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

    unfinished = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    with DagsterInstance.get() as instance:
        for run in instance.get_runs(RunsFilter(statuses=unfinished)):
            owner = run.tags.get(PID_TAG)
            is_alive = psutil.pid_exists(int(owner)) if owner else code_server_lives
            if not is_alive:
                instance.report_run_failed(run, "The process of this run ended before the run did.")


class Graph:
    """The asset graph, loaded once: seconds, so only when there is something to run."""

    def __init__(self) -> None:
        from dagster import DagsterInstance
        from dagster._core.utils import make_new_run_id

        from assets.definitions import build

        # Dagster warns of a gate with no verdict; that is how a run ends for which no training was due.
        logging.getLogger("dagster").addHandler(logging.NullHandler())
        self._instance = DagsterInstance.get()
        with _plain_errors():
            definitions = build()
            self._job = definitions.resolve_job_def
            self._assets = definitions.resolve_asset_graph()
        self._new_run_id = make_new_run_id

    def run(self, segment: Segment, told: Told) -> str:
        """Run everything that the segment's files touch; the run's id.

        Raises:
            RunFailed: a step or a blocking check failed.
            KeyboardInterrupt: Ctrl-C was pressed; the run is over.
        """
        from assets.automation import job_name, run_tags, selection

        keys, job = list(selection(segment, self._assets)), job_name(segment.calendar)
        return self._run(job, str(segment), run_tags(segment), keys, _Steps(told))

    def run_models(self, version: str, told: Told) -> str:
        """Train the models that their policy says are due, as after a declaration changed; the run's id.

        Raises as `run` does.
        """
        from assets.automation import MODELS_JOB, models
        from assets.keys import FILES_TAG

        keys, steps = list(models(self._assets)), _Steps(told)
        return self._run(MODELS_JOB, "the models", {FILES_TAG: version}, keys, steps)

    def train(self, model: str, told: Told) -> str:
        """Train and judge one model, whatever its policy says; the run's id. Raises as `run` does."""
        from assets.automation import MODELS_JOB, models

        keys = [key for key in models(self._assets) if key.path[0] == model]
        return self._run(MODELS_JOB, model, {}, keys, _Steps(told))

    def backtested(self) -> dict[str, Any]:
        """By model the asset of its backtest, of those that declare one."""
        from assets.keys import BACKTEST_TAG

        found = sorted(key for key in self._assets.executable_asset_keys if self._is(key, BACKTEST_TAG))
        return {key.path[0]: key for key in found}

    def run_backtest(self, model: str) -> str:
        """Make a model's backtest; names what it is kept by. Raises as `run` does."""
        from assets.automation import BACKTESTS_JOB

        key, told = self.backtested()[model], Told(lambda *_: None, lambda *_: None, lambda _: None)
        self._run(BACKTESTS_JOB, f"the backtest of {model}", {}, [key], _Steps(told))
        event = self._instance.get_latest_materialization_event(key)
        assert event and event.asset_materialization  # noqa: S101 the run has just made it
        return str(event.asset_materialization.metadata["code"].value)

    def _is(self, key: Any, tag: str) -> bool:
        return tag in self._assets.get(key).tags

    def _run(self, job: str, title: str, tags: dict[str, str], keys: list[Any], steps: "_Steps") -> str:
        run_id = self._new_run_id()
        self._instance.add_event_listener(run_id, steps.hear)
        with heeding_interrupts():
            result = self._job(job).execute_in_process(
                instance=self._instance,
                run_id=run_id,
                tags=tags | {PID_TAG: str(os.getpid())},
                asset_selection=keys,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
        if not result.success:
            raise RunFailed(
                days=title, reasons=steps.reasons, url=f"{services.url(services.UI)}/runs/{run_id}"
            )
        return str(run_id)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise the error that explains itself, without what Dagster wraps around it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  only unwrapped
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, HeadwaterError):
            cause = cause.__cause__
        raise cause or error from None


@contextmanager
def heeding_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt afterwards if Ctrl-C was pressed meanwhile.

    Dagster and dbt set handlers of their own, and make a failed step of it; some imports swallow it.
    """
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)
        writing.setblocking(False)
        before = signal.set_wakeup_fd(writing.fileno())
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
        writing.send(b"\0")  # so that there is something to read
        if signal.SIGINT in reading.recv(4096):
            raise KeyboardInterrupt


class _Steps:
    """Hears a run's events: what steps took, why one failed, how far a search is, why a champion stays."""

    def __init__(self, told: Told) -> None:
        self.reasons: list[str] = []
        self._told = told
        self._began: dict[str, float] = {}
        self._made: set[str] = set()

    def hear(self, entry: Any) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        if event.is_step_start:
            self._began[event.step_key] = time.monotonic()
        elif event.is_asset_observation:
            self._hear_observation(event.step_key, event.asset_observation_data.asset_observation)
        elif event.is_successful_output:
            self._made.add(event.step_key)
        elif event.is_step_success and event.step_key in self._made:
            self._told.step(
                event.step_key, time.monotonic() - self._began.get(event.step_key, time.monotonic())
            )
        elif event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            self.reasons.append(f"{event.step_key}: {error.message.strip() if error else event.message}")

    def _hear_observation(self, step: str, observation: Any) -> None:
        from assets.keys import REFUSED, SEARCH_TRIALS, SEARCHED

        metadata = observation.metadata
        if REFUSED in metadata:
            self._told.remark(f"{observation.asset_key.to_user_string()} stays: {metadata[REFUSED].value}")
        if SEARCHED in metadata:
            in_all = metadata[SEARCH_TRIALS].value if SEARCH_TRIALS in metadata else None
            self._told.progress(step, metadata[SEARCHED].value, in_all, metadata["search"].value)

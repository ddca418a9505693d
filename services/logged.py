"""The endpoint's prediction log: what an answer leaves in it, and the upkeep of what was written.

How it is written and compacted is `ml.prediction_log`'s.
"""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from ml.online_plan.kinds import microseconds
from ml.prediction_log.compaction import Compacted, Gap
from ml.prediction_log.record import STAGES, Answered, Route, Shape
from ml.prediction_log.writing import PredictionLog, State
from services.serving import Prediction, Serving

_LOG = logging.getLogger("bentoml.headwater")
_ROOT = Path(__file__).parents[1]
_LONGEST_S = 600.0
_PAUSE_S = 10.0


class _Known(NamedTuple):
    """What all answers of a serving have in common in the log."""

    serving: Serving
    shape: int
    edition: int
    as_of_us: int | None


class Logged:
    """Logs answers; finished segments are compacted in a process of their own, gaps given to `tell`."""

    def __init__(self, folder: Path, tell: Callable[[Gap], None]) -> None:
        self._tell = tell
        self._known: dict[tuple[str, Route], _Known] = {}
        self._log = PredictionLog(folder, ended=lambda _: self._due.set())
        self._due, self._closed = threading.Event(), threading.Event()
        self._due.set()  # what killed processes left
        threading.Thread(target=self._compact_when_due, name="compaction", daemon=True).start()

    @property
    def state(self) -> State:
        """As of now."""
        return self._log.state

    @property
    def n_queued(self) -> int:
        """Answers that are not written yet."""
        return self._log.n_queued

    def next_id(self) -> str:
        """The id of the next answer."""
        return self._log.next_id()

    def add(
        self, answer_id: str, route: Route, serving: Serving, prediction: Prediction, body: bytes
    ) -> None:
        """Log an answer; microseconds, whatever the disk does."""
        known = self._known.get((serving.bundle.model, route))
        if known is None or known.serving is not serving:
            known = self._known[serving.bundle.model, route] = self._knowing(route, serving)
        stages = prediction.stages
        self._log.append(
            Answered(
                answer_id,
                time.time_ns() // 1000,
                known.shape,
                known.edition,
                known.as_of_us,
                body if prediction.table is None else b"",
                prediction.rows if prediction.table is None else prediction.table,
                prediction.scores,
                [int(1e6 * stages.get(stage, 0)) for stage in STAGES],
            )
        )

    def _knowing(self, route: Route, serving: Serving) -> "_Known":
        bundle, as_of = serving.bundle, serving.store.as_of
        key = (bundle.model, bundle.version, route)
        number = self._log.shape(key, lambda one: _shape(one, route, serving))
        return _Known(
            serving, number, serving.store.edition_id, None if as_of is None else microseconds(as_of)
        )

    def close(self) -> None:
        """Write what is queued."""
        self._closed.set()
        self._log.close()

    def _compact_when_due(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            try:
                for gap in compacted(self._log.folder).gaps:
                    self._tell(gap)
            except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as failure:
                _LOG.warning("the prediction log was not compacted, its segments stay: %s", failure)
            # Several segments at a time: to start the process takes half as long as it needs for one.
            if self._closed.wait(_PAUSE_S):
                return


def compacted(folder: Path) -> Compacted:
    """Compact in another process, of low priority; raises OSError, SubprocessError or DecodeError."""
    command = [sys.executable, "-m", "ml.prediction_log", str(folder)]
    done = subprocess.run(
        ["nice", "-n", "19", *command],
        cwd=_ROOT,
        capture_output=True,
        check=True,
        timeout=_LONGEST_S,
    )
    return msgspec.json.decode(done.stdout, type=Compacted)


def _shape(number: int, route: Route, serving: Serving) -> Shape:
    way = serving.entities if route == "predict" else serving.given
    contract = serving.bundle.contract
    return Shape(
        number=number,
        model=serving.bundle.model,
        version=serving.bundle.version,
        route=route,
        names=tuple(way.names),
        kinds=way.kinds,
        features=tuple(way.coder.places),
        classes=tuple(contract.classes),
    )

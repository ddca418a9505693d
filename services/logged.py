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

import msgspec

from ml.online_plan.kinds import microseconds
from ml.prediction_log.compaction import Compacted, Gap
from ml.prediction_log.record import STAGES, Answered, Route, Shape
from ml.prediction_log.writing import PredictionLog, State
from services.serving import Prediction, Serving

_LOG = logging.getLogger("bentoml.headwater")
_ROOT = Path(__file__).parents[1]
_LONGEST_S = 600.0


class Logged:
    """Logs answers; finished segments are compacted in a process of their own, gaps given to `tell`."""

    def __init__(self, folder: Path, tell: Callable[[Gap], None]) -> None:
        self._tell = tell
        self._log = PredictionLog(folder, ended=lambda _: self._due.set())
        self._due, self._stopped = threading.Event(), False
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
        bundle = serving.bundle
        key = (bundle.model, bundle.version, route)
        number = self._log.shape(key, lambda one: _shape(one, route, serving))
        as_of = serving.store.as_of
        self._log.append(
            Answered(
                id=answer_id,
                at_us=time.time_ns() // 1000,
                shape=number,
                edition=serving.store.edition_id,
                as_of_us=None if as_of is None else microseconds(as_of),
                request=body if prediction.table is None else b"",
                rows=prediction.rows if prediction.table is None else prediction.table,
                scores=prediction.scores.tolist(),
                stages=[int(1e6 * prediction.stages.get(stage, 0)) for stage in STAGES],
            )
        )

    def close(self) -> None:
        """Write what is queued."""
        self._stopped = True
        self._log.close()

    def _compact_when_due(self) -> None:
        while not self._stopped:
            self._due.wait()
            self._due.clear()
            try:
                for gap in compacted(self._log.folder).gaps:
                    self._tell(gap)
            except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as failure:
                _LOG.warning("the prediction log was not compacted, its segments stay: %s", failure)


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

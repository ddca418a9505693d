"""The project's own Dagster instance: made once, alone, with telemetry off and its events batched.

Several processes that use a new instance at once would break it for good, hence the lock.
"""

import fcntl
import os
from pathlib import Path

from ml.settings import Settings

# A range of days is thousands of events: they are written together (see assets/event_log.py).
EVENT_BATCH = "2000"

_CONFIG = """\
telemetry: {enabled: false}
nux: {enabled: false}
python_logs: {python_log_level: INFO}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config: {max_concurrent_runs: 1, dequeue_interval_seconds: 1}
run_monitoring: {enabled: true, start_timeout_seconds: 180, poll_interval_seconds: 15}
freshness: {enabled: true}
event_log_storage:
  module: assets.event_log
  class: BatchedSqliteEventLogStorage
  config: {base_dir: {env: HEADWATER_EVENTS}}
"""


def environment(settings: Settings) -> dict[str, str]:
    """What every process of the project has in its environment, telemetry off included."""
    return {
        "DAGSTER_HOME": str(dagster_home(settings)),
        "HEADWATER_EVENTS": str(dagster_home(settings) / "events"),
        "HEADWATER_PROJECT": str(settings.project),
        "HEADWATER_HOME": str(settings.home),
        "HEADWATER_LANDING": str(settings.landing),
        "DAGSTER_EVENT_BATCH_SIZE": EVENT_BATCH,
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(settings.home / "bentoml"),
        "DO_NOT_TRACK": "1",
        "OMP_WAIT_POLICY": "passive",  # LightGBM beside other load: 1 s instead of 25
        "PYTHONDONTWRITEBYTECODE": "",  # without cached bytecode every process compiles its libraries anew
        "PYTHONPATH": str(settings.project),
    }


def dagster_home(settings: Settings) -> Path:
    """The folder of the instance."""
    return settings.home / "dagster"


def make_instance(settings: Settings) -> bool:
    """Make the instance if it isn't there; True when it was made now. Sets this process's environment."""
    os.environ.update(environment(settings))
    home = dagster_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if config.exists() and config.read_text() == _CONFIG and (home / ".made").exists():
            return False
        config.write_text(_CONFIG)
        from dagster import DagsterInstance  # 2 CPU-seconds, once

        with DagsterInstance.from_config(str(home)) as instance:
            instance.get_runs(limit=1)
            instance.event_log_storage.get_asset_records([])
        (home / ".made").touch()
        return True

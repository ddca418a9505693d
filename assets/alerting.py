"""What is wrong now, as alerts: failed checks and runs, gaps in the log, old features.

Whom they are told to, and how often, is `ml.alerts`'; how a check is judged is its own.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph, BaseAssetNode
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from assets.keys import ANSWERS, FILES_TAG
from ml.alerts import Alert, Severity
from ml.declaration import ModelDeclaration
from ml.errors import NothingPublished
from ml.lake.published import Published
from ml.ledger import Ledger
from ml.settings import Settings

_FAILED = (AssetCheckExecutionRecordStatus.FAILED,)
_GAP_FOR = timedelta(days=1)
_RUNS = 30
# By the name of a check what to do about it; of others the asset's page says it.
_NEXT: Mapping[str, str] = {
    "bounds": (
        "open the asset in the UI and see which features moved, and since when; if a file is wrong, "
        "`headwater recall FILE`, else leave it to the retrain policy"
    ),
    "holds": "see its slices in the UI; if it began with the last promotion, `headwater rollback {model}`",
    "gate": "read the evaluation's report in the UI; the champion goes on serving",
    "replay": "read what changes for the last requests in the check; the champion goes on serving",
    "parity": "mend the column that the check names, in the feature SQL; the champion goes on serving",
    ANSWERS: "see the first answer that the check names with `headwater receipt ID`",
    "leakage": "`headwater audit {name}` shows the row that sees the future",
    "landed_files": "see the refused file in the check, and land a corrected one",
    "quarantine": "`headwater quarantine {name}` shows the rows and the rules they break",
    "drift": "see what changed in the check; `headwater recall FILE` undoes a file that is wrong",
}


def alerts(
    instance: dg.DagsterInstance,
    graph: BaseAssetGraph[BaseAssetNode],
    settings: Settings,
    models: Mapping[str, ModelDeclaration],
) -> Iterator[Alert]:
    """All of them; of the checks of one asset one alert for each kind of check."""
    yield from failed_checks(instance, graph)
    yield from failed_runs(instance)
    yield from log_gaps(settings)
    yield from old_features(settings, models)


def failed_checks(instance: dg.DagsterInstance, graph: BaseAssetGraph[BaseAssetNode]) -> Iterator[Alert]:
    """Checks whose newest verdict is that they fail."""
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(graph.asset_check_keys))
    for key, record in sorted(records.items()):
        if record.status not in _FAILED:
            continue
        found = record.evaluation
        is_warning = found is not None and found.severity == dg.AssetCheckSeverity.WARN
        severity: Severity = "warning" if is_warning else "error"
        name, folder = key.asset_key.path[-1], key.asset_key.path[0]
        text = text_of(found) if found else "it could not be evaluated"
        wanted = _NEXT.get(key.name, "open the check in the UI: it shows the rows that fail")
        subject = f"{key.asset_key.to_user_string()} {key.name}"
        yield Alert("check", subject, severity, text[:500], wanted.format(name=name, model=folder))


def text_of(found: AssetCheckEvaluation) -> str:
    """What a check says of itself, or the numbers that it shows."""
    if found.description:
        return found.description
    shown = {name: one.value for name, one in found.metadata.items()}
    numbers = [f"{name} {one}" for name, one in shown.items() if isinstance(one, int | float | str)]
    return ", ".join(numbers[:4]) or "it failed"


def failed_runs(instance: dg.DagsterInstance) -> Iterator[Alert]:
    """Runs that landed files asked for and that failed, while none over the same files has succeeded."""
    seen: set[str] = set()
    for run in instance.get_runs(limit=_RUNS):
        files = run.tags.get(FILES_TAG)
        if files is None or files in seen or not run.is_finished:
            continue
        seen.add(files)
        if run.is_failure_or_canceled and not _later(instance, run):
            yield Alert(
                "run",
                f"run {run.run_id[:8]} of {run.job_name}",
                "error",
                "it failed, and what landed for it is not computed; what serves goes on serving",
                "open the run in the UI: its last error names the culprit and the way out",
            )


def _later(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether newer runs of the job have succeeded over all days of this one."""
    record = instance.get_run_record_by_id(run.run_id)
    done = dg.RunsFilter(
        job_name=run.job_name,
        statuses=[dg.DagsterRunStatus.SUCCESS],
        created_after=record.create_timestamp if record else None,
    )
    first, last = ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG
    newer = [one.tags for one in instance.get_runs(done)]
    if first not in run.tags:
        return bool(newer)
    return any(
        first in tags and tags[first] <= run.tags[first] and tags[last] >= run.tags[last] for tags in newer
    )


def log_gaps(settings: Settings) -> Iterator[Alert]:
    """Answers of the last day that are not in the prediction log."""
    since = datetime.now(UTC) - _GAP_FOR
    for entry in Ledger(settings.ledger_url).history(None, "log_gap"):
        if entry.at >= since:
            yield Alert(
                "log_gap",
                f"prediction log of {entry.actor}",
                "warning",
                entry.reason or "answers were given that are not in the log",
                "see that the disk of the prediction log has room; `headwater ledger` shows when it was",
            )


def old_features(settings: Settings, models: Mapping[str, ModelDeclaration]) -> Iterator[Alert]:
    """Models whose newest published feature day is older than they declare."""
    published, now = Published(settings), datetime.now(UTC)
    for name, declaration in models.items():
        most, table = declaration.features.max_age_hours, declaration.features.table
        if most is None:
            continue
        try:
            edition = published.edition()
        except NothingPublished:
            return
        days = published.days(table, edition) if table in edition.snapshots else []
        if not days:
            continue
        newest = datetime(days[-1].year, days[-1].month, days[-1].day, tzinfo=UTC) + timedelta(days=1)
        age = (now - newest).total_seconds() / 3600
        if age > most:
            yield Alert(
                "feature_age",
                f"{name} features",
                "error",
                f"the newest are of {days[-1]}, {age:.0f} hours old, and {most:g} are declared",
                "see in `headwater status` which source's files are missing, and land them",
            )

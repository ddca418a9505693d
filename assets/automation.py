"""Every sensor, schedule and policy: what makes the graph move without anyone asking.

Which days are due is `ml.arrivals`'; whether a model is retrained is the model's own declared policy.
"""

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph, BaseAssetNode
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.events import RunFailureReason
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    RUN_FAILURE_REASON_TAG,
)

from assets.components.landed_source import sound_files
from assets.components.proof_checks import is_proof
from assets.dbt_runner import DbtRunner
from assets.keys import BACKTEST_TAG, FILES_TAG, PREDICTIONS_TAG, STALE_TAG, raw_key
from assets.table_code import project_code
from ml.arrivals import Segment, due_segments, refuse_misnamed
from ml.calendars import Calendar
from ml.settings import Settings
from ml.sources import failures
from ml.sources.catalogue import declared_sources
from ml.tables import Table

LANDED_JOB = "landed_days"  # of the calendar of days; each other one has a job of its own, named likewise
MODELS_JOB = "models"
PROOFS_JOB = "proofs"
PROOFS_AT = "0 3 * * *"  # UTC, when no files arrive
BACKTESTS_JOB = "backtests"
BACKTESTS_AT = "0 5 * * 1"  # UTC, Mondays, after the proofs
LANDING_INTERVAL_S = 5

# A step that fails on the same files twice will fail again; a run whose process was killed deserves more.
MAX_FAILED_STEPS, MAX_ATTEMPTS = 2, 6

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def run_tags(segment: Segment) -> dict[str, str]:
    """Tags of a run over a segment's days; the policy for retraining holds in such runs only."""
    return {
        ASSET_PARTITION_RANGE_START_TAG: str(segment.first_day),
        ASSET_PARTITION_RANGE_END_TAG: str(segment.last_day),
        FILES_TAG: segment.digest,
    } | ({STALE_TAG: "true"} if segment.tables else {})


def job_name(calendar: Calendar | None) -> str:
    """The job that runs a calendar's segments: Dagster has one kind of partitions in a job."""
    return f"landed_{calendar.name}" if calendar else LANDED_JOB


def selection(segment: Segment, graph: BaseAssetGraph[BaseAssetNode]) -> Iterator[dg.AssetKey]:
    """What a segment's files touch: their raw assets, and everything of its calendar that is made from them.

    Without files: its tables, and the models made from them.
    """
    arrived = {raw_key(source) for source in segment.sources} | _of_predictions(segment.calendar, graph)
    if segment.tables:
        yield from _made_from(segment.tables, graph)
        return
    for key in sorted(_of_landed(graph)):
        node = graph.get(key)
        is_raw = key.path[0] == "raw"
        is_reference = "layer" in node.tags and node.partitions_def is None
        if is_raw and key not in arrived:
            continue
        if is_reference and not (graph.get_ancestor_asset_keys(key) & arrived):
            continue
        if not (is_raw or is_reference or _is_of(segment.calendar, key, graph)):
            continue
        yield key


def _of_predictions(calendar: Calendar | None, graph: BaseAssetGraph[BaseAssetNode]) -> set[dg.AssetKey]:
    """Raw rows of a calendar that are written from the prediction log, so that no file of theirs arrives."""
    keys = {key for key in graph.executable_asset_keys if PREDICTIONS_TAG in graph.get(key).tags}
    return {key for key in keys if calendar is None or key.path[-1] in calendar.sources}


def _is_of(calendar: Calendar | None, key: dg.AssetKey, graph: BaseAssetGraph[BaseAssetNode]) -> bool:
    """Whether a calendar's tables are this asset, or what it is made from."""
    keys = {key, *graph.get_ancestor_asset_keys(key)}
    tables = {one.path[-1] for one in keys if "layer" in graph.get(one).tags}
    return calendar is None or bool(tables & set(calendar.tables))


def models(graph: BaseAssetGraph[BaseAssetNode]) -> Iterator[dg.AssetKey]:
    """The assets of all models, but for their backtests."""
    yield from (key for key in sorted(_of_landed(graph)) if "model" in graph.get(key).tags)


def _of_landed(graph: BaseAssetGraph[BaseAssetNode]) -> set[dg.AssetKey]:
    """What runs of landed files may make: all but backtests."""
    keys: set[dg.AssetKey] = set(graph.executable_asset_keys)
    return {key for key in keys if BACKTEST_TAG not in graph.get(key).tags}


def _made_from(tables: Sequence[str], graph: BaseAssetGraph[BaseAssetNode]) -> Iterator[dg.AssetKey]:
    keys = {key for key in graph.executable_asset_keys if "layer" in graph.get(key).tags}
    stale = {key for key in keys if key.path[-1] in tables}
    for key in sorted(_of_landed(graph) - keys):
        if graph.get_ancestor_asset_keys(key) & stale:
            yield key
    yield from sorted(stale)


def landing_sensor(jobs: Sequence[UnresolvedAssetJobDefinition | dg.JobDefinition]) -> dg.SensorDefinition:
    """Watches landing/ and asks for one run for each range of days whose files are not computed yet."""

    @dg.sensor(
        jobs=jobs,
        name="landing",
        minimum_interval_seconds=LANDING_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=landing_sensor.__doc__,
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = Settings.from_env()
        refused = list(_misnamed(settings))
        segments = due_now(settings)
        if refused or not segments:
            told = (
                "Everything in landing/ is computed."
                if not refused
                else "Files with impossible names were refused."
            )
            return dg.SensorResult(asset_events=refused, skip_reason=told)
        if any(
            context.instance.get_runs_count(dg.RunsFilter(job_name=name, statuses=_UNFINISHED))
            for name in (MODELS_JOB, *(job.name for job in jobs))
        ):
            return dg.SkipReason(f"Due: {_listed(segments)}; waiting for the run under way.")
        graph = context.repository_def.asset_graph
        fresh = [segment for segment in segments if _is_worth_trying(context.instance, segment)]
        if not fresh:
            return dg.SkipReason(
                f"The runs for {_listed(segments)} keep failing on the same files. "
                "Mend the cause and materialize by hand, or land corrected files."
            )
        return dg.SensorResult(run_requests=[_request(segment, graph) for segment in fresh])

    return landing


def _request(segment: Segment, graph: BaseAssetGraph[BaseAssetNode]) -> dg.RunRequest:
    """One run; of the checks it leaves out those that take a rebuild, which are the nightly job's."""
    keys = list(selection(segment, graph))
    checks = [key for key in sorted(graph.asset_check_keys) if key.asset_key in keys and not is_proof(key)]
    return dg.RunRequest(
        job_name=job_name(segment.calendar),
        tags=run_tags(segment),
        asset_selection=keys,
        asset_check_keys=checks,
    )


def proofs_schedule(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Rebuilds the tables every night beside those that stand, to prove that they are the same."""
    return dg.ScheduleDefinition(
        name="nightly_proofs",
        job=job,
        cron_schedule=PROOFS_AT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=proofs_schedule.__doc__,
    )


def backtests_schedule(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Trains and tests every declared model over past periods, once a week, beside what serves."""
    return dg.ScheduleDefinition(
        name="weekly_backtests",
        job=job,
        cron_schedule=BACKTESTS_AT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=backtests_schedule.__doc__,
    )


def _misnamed(settings: Settings) -> Iterator[dg.AssetCheckEvaluation]:
    """No run can take in a file whose name is no day, so the sensor itself says so, once."""
    sources = declared_sources(settings.project)
    for source in {source for source, _ in refuse_misnamed(settings, sources)}:
        yield dg.AssetCheckEvaluation(**sound_files(source, failures(settings, source)))


def due_now(settings: Settings) -> tuple[Segment, ...]:
    """The days to compute now, in as few runs as there are gaps between them."""

    def tables() -> Iterable[Table]:
        return project_code(DbtRunner(settings)).tables.values()

    return due_segments(settings, tables)


def _is_worth_trying(instance: dg.DagsterInstance, segment: Segment) -> bool:
    tags = {FILES_TAG: segment.digest}
    failed = instance.get_runs(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.FAILURE]))
    in_steps = [
        run for run in failed if run.tags.get(RUN_FAILURE_REASON_TAG) == RunFailureReason.STEP_FAILURE.value
    ]
    return len(in_steps) < MAX_FAILED_STEPS and len(failed) < MAX_ATTEMPTS


def _listed(segments: Sequence[Segment]) -> str:
    return ", ".join(map(str, segments))

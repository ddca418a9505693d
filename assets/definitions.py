"""Assembles the code location: what stands under defs/, the resources, the job and the automation.

Nothing is defined here; a new source, table or model does not touch this file.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.automation import (
    BACKTESTS_JOB,
    MODELS_JOB,
    PROOFS_JOB,
    backtests_schedule,
    job_name,
    landing_sensor,
    proofs_schedule,
)
from assets.calendar import project_calendars
from assets.components.prediction_model import declared_models
from assets.components.proof_checks import is_proof
from assets.dbt_runner import DbtRunner
from assets.keys import BACKTEST_TAG
from assets.resources import JsonValues, Platform
from ml.calendars import Calendar
from ml.settings import Settings
from ml.sources import declared_sources

# Dagster itself sets it when it copies the definition of a check, and tells its users of it.
warnings.filterwarnings("ignore", message="Parameter `execution_type` of")


def build(platform: Platform | None = None) -> dg.Definitions:
    """The whole code location; a test may bring its own `platform`."""
    project = Path(__file__).parents[1]
    declared_sources(project)  # a mistake is told with its line and the nearest that is allowed
    declared_models(project)
    return assemble(dg.load_from_defs_folder(path_within_project=Path(__file__).parent), platform)


def assemble(declared: dg.Definitions, platform: Platform | None = None) -> dg.Definitions:
    """What is declared, with the resources, the jobs and what makes them run."""
    backtests = _backtests(declared)
    proofs = dg.AssetSelection.checks(*_proofs(declared))
    nightly_or_weekly = proofs | dg.AssetSelection.assets(*backtests) if backtests else proofs
    calendars = project_calendars(DbtRunner(Settings.from_env())) or (None,)
    landed = [_landed_job(one, declared, calendars, nightly_or_weekly) for one in calendars]
    models = dg.define_asset_job(
        MODELS_JOB,
        selection=dg.AssetSelection.assets(*_models(declared)),
        description="Trains the models that their policy says are due, over the tables as they stand.",
    )
    nightly = dg.define_asset_job(
        PROOFS_JOB,
        selection=proofs,
        description="Proves that tables are what a full rebuild gives, with any number of threads.",
    )
    weekly = [
        dg.define_asset_job(
            BACKTESTS_JOB,
            selection=dg.AssetSelection.assets(*backtests),
            description="Trains models before past months or weeks, and tests them on those.",
        )
        for _ in backtests[:1]  # there is no job over nothing
    ]
    assembled = dg.Definitions(
        jobs=[*landed, nightly, models, *weekly],
        sensors=[landing_sensor(landed)],
        schedules=[proofs_schedule(nightly), *map(backtests_schedule, weekly)],
        resources={"platform": platform or Platform(), "io_manager": JsonValues()},
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(declared, assembled)


def _landed_job(
    calendar: Calendar | None,
    declared: dg.Definitions,
    calendars: Sequence[Calendar | None],
    otherwise: dg.AssetSelection,
) -> UnresolvedAssetJobDefinition:
    """The job of a calendar, without `otherwise` and what other calendars' files and tables lead to."""
    unit = calendar.unit if calendar else "days"
    own = _names(calendar)
    names = {name for one in calendars for name in _names(one)} - own
    keys = [spec.key for spec in _specs(declared) if _place(spec) in names]
    elsewhere = dg.AssetSelection.assets(*keys).downstream() if keys else None
    selected = dg.AssetSelection.all() - otherwise
    return dg.define_asset_job(
        job_name(calendar),
        selection=selected - elsewhere if elsewhere else selected,
        description=f"From landed files to a promoted model: one run for a range of {unit}, in one process.",
    )


def _names(calendar: Calendar | None) -> set[tuple[str, str]]:
    """Folders and names of its sources; of its tables the names."""
    if calendar is None:
        return set()
    sources = {(folder, name) for folder in ("landing", "raw") for name in calendar.all_sources}
    return sources | {("", name) for name in (*calendar.tables, *calendar.reference_tables)}


def _place(spec: dg.AssetSpec) -> tuple[str, str]:
    return "" if "layer" in spec.tags else spec.key.path[0], spec.key.path[-1]


def _specs(declared: dg.Definitions) -> Iterator[dg.AssetSpec]:
    for asset in declared.assets or ():
        if isinstance(asset, dg.AssetsDefinition):
            yield from asset.specs
        elif isinstance(asset, dg.AssetSpec):
            yield asset


def _models(declared: dg.Definitions) -> list[dg.AssetKey]:
    """What runs make of models; an endpoint is there by itself, a backtest is asked for."""
    made = (asset for asset in declared.assets or () if isinstance(asset, dg.AssetsDefinition))
    specs = [spec for asset in made for spec in asset.specs]
    return [spec.key for spec in specs if "model" in spec.tags and BACKTEST_TAG not in spec.tags]


def _backtests(declared: dg.Definitions) -> list[dg.AssetKey]:
    assets = [one for one in declared.assets or () if isinstance(one, dg.AssetsDefinition)]
    return [key for one in assets for key in one.keys if BACKTEST_TAG in one.tags_by_key[key]]


def _proofs(declared: dg.Definitions) -> list[dg.AssetCheckKey]:
    return [key for checks in declared.asset_checks or () for key in checks.check_keys if is_proof(key)]


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    return build()

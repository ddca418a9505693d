"""Assembles the code location: what stands under defs/, the resources, the job and the automation.

Nothing is defined here; a new source, table or model does not touch this file.
"""

import warnings
from pathlib import Path

import dagster as dg

from assets.automation import LANDED_JOB, PROOFS_JOB, landing_sensor, proofs_schedule
from assets.components.prediction_model import declared_models
from assets.components.proof_checks import is_proof
from assets.resources import JsonValues, Platform
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
    proofs = dg.AssetSelection.checks(*_proofs(declared))
    job = dg.define_asset_job(
        LANDED_JOB,
        selection=dg.AssetSelection.all() - proofs,
        description="From landed files to a promoted model: one run for a range of days, in one process.",
    )
    nightly = dg.define_asset_job(
        PROOFS_JOB,
        selection=proofs,
        description="Proves that tables are what a full rebuild gives, with any number of threads.",
    )
    assembled = dg.Definitions(
        jobs=[job, nightly],
        sensors=[landing_sensor(job)],
        schedules=[proofs_schedule(nightly)],
        resources={"platform": platform or Platform(), "io_manager": JsonValues()},
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(declared, assembled)


def _proofs(declared: dg.Definitions) -> list[dg.AssetCheckKey]:
    return [key for checks in declared.asset_checks or () for key in checks.check_keys if is_proof(key)]


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    return build()

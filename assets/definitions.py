"""Assembles the code location: what stands under defs/, the resources, the job and the automation.

Nothing is defined here; a new source, table or model does not touch this file.
"""

from pathlib import Path

import dagster as dg

from assets.automation import LANDED_JOB, landing_sensor
from assets.resources import JsonValues, Platform
from ml.sources import declared_sources


def build(platform: Platform | None = None) -> dg.Definitions:
    """The whole code location; a test may bring its own `platform`."""
    declared_sources(Path(__file__).parents[1])  # a mistake is told with the nearest that is allowed
    declared = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    job = dg.define_asset_job(
        LANDED_JOB,
        selection=dg.AssetSelection.all(),
        description="From landed files to a promoted model: one run for a range of days, in one process.",
    )
    assembled = dg.Definitions(
        jobs=[job],
        sensors=[landing_sensor(job)],
        resources={"platform": platform or Platform(), "io_manager": JsonValues()},
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(declared, assembled)


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    return build()

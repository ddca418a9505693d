"""A project whose tables are built as a run builds them, dbt and all, but without Dagster around it.

What is measured of it is each benchmark's own.
"""

from datetime import date

from assets.dbt_nodes import is_daily, tables_of
from assets.dbt_runner import DbtRunner
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import declared_sources, take_in


def take_in_landed(settings: Settings, *days: date) -> None:
    """Take the landed files into raw: those of `days` and the reference files, or all."""
    wanted = {str(day) for day in days}
    for source in sorted(declared_sources(settings.project), key=lambda one: len(one.lookups)):
        files = sorted((settings.landing / source.name).glob("*.csv"))
        chosen = [file for file in files if not wanted or file.stem in wanted or source.cadence != "daily"]
        take_in(Workshop(settings), settings, source, chosen).raise_failed()


def build(runner: DbtRunner, first: date, last: date, *, daily: bool, anew: bool = False) -> None:
    """Build and test the reference tables, or the daily ones. Raises SystemExit if one fails."""
    names = [node["name"] for node in tables_of(runner.manifest) if is_daily(node) == daily]
    days = {"first_day": str(first), "last_day": str(last)}
    with Workshop(runner.settings).turn():
        failed = [result for result in runner.build(names, **days, anew=anew) if not result.is_good]
    if failed:
        raise SystemExit("\n".join(f"{result.unique_id}: {result.message}" for result in failed))

"""Projects to measure: landed, taken in, and built as a run builds them, but without Dagster around it.

What is measured of them is each benchmark's own.
"""

import os
from datetime import date
from pathlib import Path

from assets.dbt_nodes import is_daily, tables_of
from assets.dbt_runner import DbtRunner
from headwater.instance import environment
from headwater.nycflights import land
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import declared_sources, take_in

FIRST, UNTIL = date(2013, 1, 1), date(2013, 9, 30)


def project(folder: Path, name: str = "home") -> Settings:
    """A project of its own state; all in a folder share the landed files."""
    os.environ |= {"HEADWATER_HOME": str(folder / name), "HEADWATER_LANDING": str(folder / "landing")}
    settings = Settings.from_env()
    os.environ |= environment(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    return settings


def taken_in(folder: Path, until: date) -> Settings:
    """A project that has taken in the real files up to a day."""
    settings = project(folder)
    land(settings.landing, None, until)
    take_in_landed(settings)
    return settings


def nine_months(folder: Path) -> tuple[Settings, DbtRunner]:
    """A project with every table of the days from `FIRST` to `UNTIL`."""
    settings = taken_in(folder, UNTIL)
    runner = DbtRunner(settings)
    for daily in (False, True):
        build(runner, FIRST, UNTIL, daily=daily)
    return settings, runner


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

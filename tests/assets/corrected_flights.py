"""Real flights with corrections of them, in a project that reads from the files when each was known.

Asserting anything does not belong here.
"""

import csv
import io
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from assets.calendar import project_calendars
from assets.dbt_nodes import is_daily, tables_of
from assets.dbt_runner import DbtRunner
from headwater.nycflights import land
from ml.calendars import Calendar
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import declared_sources, take_in
from tests.project_folder import ROOT, settings_in

DAILY = ("flights", "weather", "schedules")
Row = dict[str, str]
Files = Mapping[str, str]  # path in landing to content


def project(folder: Path) -> Path:
    """A project whose daily files have a column more: when a correction was known."""
    for declared in sorted((ROOT / "assets" / "defs").glob("*/defs.yaml")):
        told = yaml.safe_load(declared.read_text())
        if told["attributes"].get("name") in DAILY:
            column = {"name": "noted_at", "type": "timestamp", "nullable": True, "description": "When known."}
            told["attributes"]["columns"].append(column)
            told["attributes"]["corrections"] = {
                "known_at": "coalesce(noted_at, loaded_at)",
                "columns": ["noted_at"],
            }
        file = folder / "assets" / "defs" / declared.parent.name / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump(told, sort_keys=False))
    (folder / "dbt_project").symlink_to(ROOT / "dbt_project")
    return folder


def copy_of_project(world: "World", folder: Path) -> Path:
    """The same project with SQL of its own, to change."""
    return Path(shutil.copytree(world.settings.project, folder, ignore=shutil.ignore_patterns("target")))


def landed(folder: Path, first: date, last: date) -> dict[str, str]:
    """The files of the days as they first arrived."""
    land(folder, first, last)
    return {
        str(file.relative_to(folder)): noted(file.read_text())
        if file.parent.name in DAILY
        else file.read_text()
        for file in sorted(folder.glob("*/*.csv"))
    }


def noted(content: str, change: Callable[[int, Row], Row | None] | None = None, at: str = "") -> str:
    """A file with each row changed, or left out, and when that was known."""
    rows = list(csv.DictReader(io.StringIO(content)))
    written = io.StringIO()
    names = [name for name in rows[0] if name != "noted_at"]
    writer = csv.DictWriter(written, [*names, "noted_at"], lineterminator="\n")
    writer.writeheader()
    for n, row in enumerate(rows):
        changed = change(n, dict(row)) if change else row
        if changed:
            writer.writerow(changed | {"noted_at": at})
    return written.getvalue()


def other_delays(n: int, row: Row) -> Row | None:
    """Some flights later than first told, some cancelled after all, some not there."""
    if n % 50 == 7:
        return None
    if n % 13 == 5:
        return row | dict.fromkeys(("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"), "NA")
    return later(row, 37) if n % 3 == 0 else row


def delays_again(n: int, row: Row) -> Row | None:
    """Others of the same day, and some that had been told before."""
    return later(row, 61) if n % 5 == 2 else later(row, 4) if n % 3 == 0 else row


def later(row: Row, minutes: int) -> Row:
    """A flight that arrived so much later; one that never arrived, or about when clocks change, as it was."""
    if row["arr_delay"] == "NA" or int(row["arr_time"]) < 500:
        return row
    clock = (int(row["arr_time"]) // 100 * 60 + int(row["arr_time"]) % 100 + minutes) % 1440 or 1440
    return row | {
        "arr_time": str(clock // 60 * 100 + clock % 60),
        "arr_delay": str(int(row["arr_delay"]) + minutes),
    }


def other_weather(n: int, row: Row) -> Row | None:
    """Another pressure now and then, rain that was not told of, an hour that is missing."""
    if n % 31 == 9:
        return None
    if n % 2 and row["pressure"] != "NA":
        return row | {"pressure": str(float(row["pressure"]) + 3), "precip": "0.25"}
    return row


def other_aircraft(n: int, row: Row) -> Row | None:
    """Other aircraft for some flights, and flights that are not scheduled any more."""
    if n % 20 == 3:
        return None
    return row | {"tailnum": "N14228"} if n % 9 == 4 else row


class World:
    """A project's state made from some landed files."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.settings: Settings = settings_in(folder, project)
        self.runner = DbtRunner(self.settings)

    @property
    def file(self) -> Path:
        return self.settings.home / "workshop.duckdb"

    def copy(self, folder: Path, project: Path | None = None) -> "World":
        """The same state in another folder, perhaps of another project."""
        shutil.copytree(self.settings.home, folder / "home")
        return World(project or self.settings.project, folder)

    def take_in(self, files: Files) -> "World":
        """Land the files and take them in."""
        for path, content in files.items():
            file = self.settings.landing / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        for source in sorted(declared_sources(self.settings.project), key=lambda one: len(one.lookups)):
            own = [self.settings.landing / path for path in files if path.startswith(f"{source.name}/")]
            if own or source.predictions_of:
                take_in(Workshop(self.settings), self.settings, source, own).raise_failed()
        return self

    def build(self, first: date, last: date, *, anew: bool = False) -> "World":
        """Build reference tables, then daily ones, for the days; every table and test must be good."""
        with Workshop(self.settings).turn():
            for daily in (False, True):
                names = [node["name"] for node in self.nodes() if is_daily(node) == daily]
                days = {"first_day": str(first), "last_day": str(last)}
                results = list(self.runner.build(names, **days, anew=anew))
                bad = [(one.unique_id, one.message) for one in results if not one.is_good]
                assert not bad, bad
        return self

    @property
    def calendar(self) -> Calendar:
        """That of the flights; the project's other problems have no part in it."""
        (found,) = (one for one in project_calendars(self.runner) if "flights" in one.sources)
        return found

    def nodes(self) -> Iterable[Mapping[str, Any]]:
        """The tables of the flights' calendar."""
        names = {*self.calendar.tables, *self.calendar.reference_tables}
        return [node for node in tables_of(self.runner.manifest) if node["name"] in names]

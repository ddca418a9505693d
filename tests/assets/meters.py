"""A small project of its own: meters that are read, a feature of what was read before, a label to predict.

Real parts throughout, in one folder: sources, dbt tables, a model, and the job that runs them. No assertions.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster_shared.utils.warnings import disable_dagster_warnings

from assets.automation import LANDED_JOB, run_tags, selection
from assets.components import DbtTables, LandedSource, PredictionModel
from assets.components.prediction_model import DeclaredModel
from assets.dbt_runner import DbtRunner
from assets.definitions import assemble
from assets.table_code import ProjectCode, project_code
from ml.arrivals import Segment, due_segments, stale_segments
from ml.lake.published import Published
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import declared_sources
from tests.assets.meters_declared import METERS, MODEL, OWN_MACROS, READINGS, TABLES, UNIT_TEST, Column
from tests.project_folder import ROOT

FIRST = date(2013, 3, 1)
MODEL_STEPS = tuple(f"high_reading/{step}" for step in ("candidate", "evaluation", "champion", "bento"))
HOURS = range(0, 24, 2)
MACROS = ("days.sql", "schemas.sql", "tests.sql", "spine.sql", "as_of.sql", "time.sql")


def day(n: int) -> date:
    """The n-th day, from 0."""
    return FIRST + timedelta(days=n)


class Meters:
    """One such project in a folder; the environment names it while `patch` lasts."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        project = folder / "project"
        patch.setenv("HEADWATER_PROJECT", str(project))
        patch.setenv("HEADWATER_HOME", str(folder / "home"))
        patch.setenv("HEADWATER_LANDING", str(folder / "landing"))
        patch.setenv("HEADWATER_WORKSHOP", "")
        for name, text in (("readings", READINGS), ("meters", METERS)):
            self._write(project / "assets" / "defs" / name / "defs.yaml", text)
        dbt = project / "dbt_project"
        for name in MACROS:
            (dbt / "macros").mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "dbt_project" / "macros" / name, dbt / "macros" / name)
        for name in ("dbt_project.yml", "profiles.yml"):
            shutil.copy(ROOT / "dbt_project" / name, dbt / name)
        self._write(dbt / "macros" / "own.sql", OWN_MACROS)
        self._write(dbt / "models" / "staging" / "raw.yml", _raw("readings_current", "meters_current"))
        for place, (sql, config, columns, tests) in TABLES.items():
            self._write(dbt / "models" / f"{place}.sql", sql)
            name = place.partition("/")[2]
            unit_test = UNIT_TEST if name == "reading_labels" else ""
            self._write(dbt / "models" / f"{place}.yml", _declared(name, config, columns, tests) + unit_test)
        self.settings = Settings.from_env()
        self.dbt = dbt
        self.model = MODEL
        self.instance = dg.DagsterInstance.ephemeral()
        self.land("meters", None, ["meter,kind", "m1,old", "m2,new"])

    @staticmethod
    def _write(file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.rstrip("\n") + "\n")

    def land(self, source: str, of: date | None, lines: Sequence[str]) -> Path:
        """Land a file."""
        file = self.settings.landing / source / f"{of or source}.csv"
        self._write(file, "\n".join(lines))
        return file

    def land_readings(self, of: date, more: int = 0, bad: bool = False) -> Path:
        """Land a day; `more` watts change every row, `bad` makes one row break a blocking test."""
        rows = [
            f"{meter},{-5 if bad and hour == meter == 'm1' else 10 * hour + of.day + more},"
            f"{of}T{hour:02}:00:00Z"
            for meter in ("m1", "m2")
            for hour in HOURS
        ]
        if bad:
            meter, _, at = rows[0].split(",")
            rows[0] = f"{meter},-5,{at}"
        return self.land("readings", of, ["meter,watts,read_at", *rows])

    def edit(self, place: str, old: str, new: str) -> None:
        """Change a file of the dbt project."""
        file = self.dbt / place
        text = file.read_text()
        assert old in text, text
        file.write_text(text.replace(old, new))

    @contextmanager
    def edited(self, place: str, old: str, new: str) -> Iterator[None]:
        """A change of a file that is undone, and whatever it made stale computed again."""
        self.edit(place, old, new)
        yield
        self.edit(place, new, old)
        for result in self.run(*self.due(), without=MODEL_STEPS):
            assert result.success

    @property
    def runner(self) -> DbtRunner:
        return DbtRunner(self.settings)

    @property
    def code(self) -> ProjectCode:
        return project_code(self.runner)

    @property
    def published(self) -> Published:
        return Published(self.settings)

    def job(self, wanted: UnresolvedAssetJobDefinition | None = None) -> dg.JobDefinition:
        """The job over all assets, or another."""
        definitions = self.definitions()
        if wanted:
            definitions = dg.Definitions.merge(definitions, dg.Definitions(jobs=[wanted]))
        return definitions.resolve_job_def(wanted.name if wanted else LANDED_JOB)

    def definitions(self) -> dg.Definitions:
        """The project's assets, and the jobs over them."""
        context = dg.ComponentTree.for_test().load_context
        components = [
            *(LandedSource(source) for source in declared_sources(self.settings.project)),
            DbtTables(owners=["team:meters"]),
            PredictionModel(DeclaredModel.parse(self.model)),
        ]
        with disable_dagster_warnings():  # as Dagster does where it loads components itself
            return assemble(dg.Definitions.merge(*(one.build_defs(context) for one in components)))

    def run(
        self,
        *segments: Segment,
        only: Iterable[str] | None = None,
        without: Iterable[str] = (),
        tags: dict[str, str] | None = None,
        checked: bool = True,
    ) -> list[dg.ExecuteInProcessResult]:
        """Run segments as automation would, of `only` these assets, or of all but those `without`.

        With other `tags` as someone else would; without the assets' checks when not `checked`.
        """
        definitions = self.definitions()
        graph = definitions.resolve_asset_graph()
        results = []
        for segment in segments:
            wanted = set(selection(segment, graph))
            if only is not None:
                wanted = {dg.AssetKey.from_user_string(name) for name in only}
            wanted -= {dg.AssetKey.from_user_string(name) for name in without}
            selected = dg.AssetSelection.assets(*wanted)
            job = dg.define_asset_job("wanted", selected if checked else selected.without_checks())
            results.append(
                self.job(job).execute_in_process(
                    instance=self.instance,
                    tags=run_tags(segment) if tags is None else tags,
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                    raise_on_error=False,
                )
            )
        return results

    def build_without_checks(self, first: str, last: str) -> None:
        """Have dbt build the tables and run no test."""
        with Workshop(self.settings).turn():
            variables = json.dumps({"start_day": first, "end_day": last})
            self.runner._run(["run", "--vars", variables])

    def due(self) -> tuple[Segment, ...]:
        """What `headwater up` would run."""
        stale = stale_segments(self.settings, self.code.tables.values())
        return (*stale, *due_segments(self.settings, self.code.tables.values))


def failures(result: dg.ExecuteInProcessResult) -> str:
    """Why the steps of a run failed, in their errors' own words."""
    told = []
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        told.append(error.message if error else "")
    return "\n".join(told)


def recomputed(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The tables that a run built, with the reason."""
    told = {}
    for event in result.get_asset_materialization_events():
        metadata = event.step_materialization_data.materialization.metadata
        if "seconds" in metadata and "recomputed" in metadata:
            told[event.asset_key.path[-1]] = str(metadata["recomputed"].value)
    return told


def _raw(*tables: str) -> str:
    listed = "\n".join(f"      - name: {table}" for table in tables)
    return f"sources:\n  - name: raw\n    schema: raw\n    tables:\n{listed}"


def _declared(name: str, config: str, columns: Sequence[Column], tests: str) -> str:
    listed = "\n".join(
        f"      - name: {column.name}\n        data_type: {column.type}\n"
        + (f"        {column.more}\n" if column.more else "")
        for column in columns
    )
    kept = config if config.startswith("{") else f"{{{config}}}"
    tested = f"    data_tests:\n      {tests}\n" if tests else ""
    shown = f"    columns:\n{listed}" if columns else ""
    return f"models:\n  - name: {name}\n    description: {name}\n    config: {kept}\n{tested}{shown}\n"

"""Days lived through with the stack up: asked about, landed, computed, and looked at for what was told.

A day is asked about before its files land, as users would ask. What is reported is the command's.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from statistics import median
from textwrap import shorten
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.alerting import text_of
from assets.dbt_runner import DbtRunner
from headwater import nycflights, services
from headwater.errors import LoopStuck, NothingServes, RequestRefused
from headwater.predict import call
from headwater.simulated_faults import Planted, spoiled
from headwater.stack import Stack
from ml import simulated
from ml.arrivals import landed_files, not_computed
from ml.coming import as_instances, coming
from ml.computed import Computed
from ml.declaration import ModelDeclaration
from ml.feature_definition import FeatureDefinition
from ml.lake.published import Published
from ml.lake.workshop import Workshop
from ml.ledger import Ledger
from ml.prediction_log.reading import newest_of
from ml.registry import Registry
from ml.settings import Settings
from ml.simulated import Answers, Noticed, Simulated, Trained
from ml.sources import declared_sources, failures

_PATIENCE_S = 900
_POLL_S = 0.5
_AT_ONCE = 25  # instances a request, as a page of departures would ask


@dataclass
class Lived:
    """One simulation as it goes."""

    settings: Settings
    declaration: ModelDeclaration
    planted: tuple[Planted, ...]
    told: list[str] = field(default_factory=list)
    n_asked: int = 0
    n_answered: int = 0
    seconds: list[float] = field(default_factory=list)  # until the loop had turned
    features_s: list[float] = field(default_factory=list)  # until the endpoint looked up what had landed
    _noticed: dict[tuple[str, str], Noticed] = field(default_factory=dict)
    _runs: set[str] = field(default_factory=set)
    _first: str = ""

    def refuse_unready(self) -> None:
        """The stack must be up, and a champion serve."""
        running = Stack(self.settings).running()
        champion = Ledger(self.settings.ledger_url).champion(self.declaration.name)
        missing = [name for name in services.ALL if name not in running]
        if missing or champion is None:
            raise NothingServes(url=services.url(services.ENDPOINT), cause="the project is not up")
        self._first = champion.version
        self._runs = {run for run, _ in self._finished()}

    def newest_day(self) -> date | None:
        """The last day whose flights are computed."""
        days = [day for source, day in Computed(self.settings).files() if source == "flights" and day]
        return max(days, default=None)

    def days_until(self, until: date) -> Iterator[date]:
        newest = self.newest_day()
        day = newest + timedelta(days=1) if newest else None
        while day and day <= min(until, nycflights.LAST_DAY):
            yield day
            day += timedelta(days=1)

    def live(self, day: date) -> None:
        """Ask about the day's flights, then let its files land, and wait until the loop has turned."""
        asked, answered = self._ask(day)
        self.n_asked, self.n_answered = self.n_asked + asked, self.n_answered + answered
        edition = Published(self.settings).edition().id
        self._land(day)
        landed, before = time.monotonic(), datetime.now(UTC)
        self._await(day, landed, edition)
        self.seconds.append(time.monotonic() - landed)
        self._look(day)
        newest = Ledger(self.settings.ledger_url).newest(self.declaration.name, "registered")
        act = "and trained" if newest and newest.at >= before else ""
        self.told.append(f"{answered} answers, loop turned in {self.seconds[-1]:.0f} s {act}".strip())

    def _ask(self, day: date) -> tuple[int, int]:
        published, ledger = Published(self.settings), Ledger(self.settings.ledger_url)
        champion = ledger.champion(self.declaration.name)
        assert champion is not None  # noqa: S101 refuse_unready saw one
        bundle = Registry(self.settings.registry).get(self.declaration.name, champion.version)
        rows = coming(published, published.edition(), bundle)
        on_day = pc.equal(pc.cast(rows["prediction_at"], pa.date32()), pa.scalar(day))
        instances = as_instances(bundle.contract, rows.filter(on_day))
        answered = 0
        for n in range(0, len(instances), _AT_ONCE):
            with suppress(RequestRefused):  # counted: asked, and not answered
                told = call(f"/predict/{self.declaration.name}", {"instances": instances[n : n + _AT_ONCE]})
                answered += len(told["predictions"])
        return len(instances), answered

    def _land(self, day: date) -> None:
        """The day's files with what is planted in them; of a file that was broken yesterday a sound one."""
        for one in self.planted:
            if one.fault.breaks and day == one.first_day + timedelta(days=1):
                for path, data in nycflights.files(one.first_day, one.first_day):
                    if path.parts[0] == one.fault.breaks:
                        nycflights.write(self.settings.landing / path, data)
        for path, data in nycflights.files(day, day):
            nycflights.write(self.settings.landing / path, spoiled(path.as_posix(), day, data, self.planted))

    def _await(self, day: date, landed: float, edition: int) -> None:
        """Until every landed file is computed or refused, and no run is under way."""
        until, waits = time.monotonic() + _PATIENCE_S, True
        sources = declared_sources(self.settings.project)
        while time.monotonic() < until:
            if waits and self._served()["edition"]["id"] > edition:
                self.features_s.append(time.monotonic() - landed)
                waits = False
            if not self._under_way():
                due = not_computed(landed_files(self.settings, sources), Computed(self.settings).files())
                refused = {path for source in sources for path in failures(self.settings, source)}
                waiting = {one.day for one in due}
                if not due or (refused and waiting <= self._held_back(refused)):
                    self._await_endpoint()
                    return
            time.sleep(_POLL_S)
        raise LoopStuck(day=day, home=self.settings.home)

    def _held_back(self, refused: set[Any]) -> set[date | None]:
        days: set[date | None] = set()
        for path in refused:
            try:
                days.add(date.fromisoformat(path.stem))
            except ValueError:
                continue
        return days

    def _await_endpoint(self) -> None:
        """Until the endpoint answers with the newest edition and champion."""
        edition = Published(self.settings).edition().id
        champion = Ledger(self.settings.ledger_url).champion(self.declaration.name)
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            told = self._served()
            is_now = champion is None or told["model"]["version"] == champion.version
            if told["edition"]["id"] >= edition and is_now:
                return
            time.sleep(_POLL_S)

    def _served(self) -> Any:
        """What the endpoint says of the model."""
        return call(f"/model/{self.declaration.name}", None)

    def _under_way(self) -> bool:
        from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

        busy = [
            *(DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED),
            *(DagsterRunStatus.STARTING, DagsterRunStatus.STARTED),
        ]
        with DagsterInstance.get() as instance:
            return bool(instance.get_runs_count(RunsFilter(statuses=busy)))

    def _finished(self) -> list[tuple[str, bool]]:
        from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

        done = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]
        with DagsterInstance.get() as instance:
            found = instance.get_runs(RunsFilter(statuses=done), limit=50)
        return [(run.run_id, run.status == DagsterRunStatus.FAILURE) for run in found]

    def _look(self, day: date) -> None:
        """Every check that failed in runs that ended since, and every run that failed."""
        from dagster import DagsterEventType, DagsterInstance

        for run, has_failed in self._finished():
            if run in self._runs:
                continue
            self._runs.add(run)
            with DagsterInstance.get() as instance:
                entries = instance.all_logs(run, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
            seen = False
            for entry in entries:
                event = entry.dagster_event
                found = event.asset_check_evaluation_data if event else None
                if found and not found.passed:
                    seen = True
                    where = f"{found.asset_key.to_user_string()}: {found.check_name}"
                    self._notice(day, where, text_of(found))
            if has_failed and not seen:
                self._notice(day, "run", f"run {run[:8]} failed")

    def _notice(self, day: date, where: str, text: str) -> None:
        key = where, text.partition(":")[0] if where.endswith("bounds") else ""
        before = self._noticed.get(key)
        told = before or Noticed(day, where, shorten(text.strip().splitlines()[0], 300, placeholder=" …"), 0)
        self._noticed[key] = Noticed(told.day, told.where, told.text, told.n_days + 1)

    def report(self, days: Sequence[date], began: datetime, *, daily: bool) -> Simulated:
        """Hold the answers beside what others would have said."""
        published, registry = Published(self.settings), Registry(self.settings.registry)
        ledger = Ledger(self.settings.ledger_url)
        bundle = registry.get(self.declaration.name, self._first)
        rows = self._logged(days, [feature.name for feature in bundle.contract.features])
        rows = simulated.with_outcomes(published, self.declaration, rows)
        answers = Answers.of(self.declaration, bundle.contract.classes, rows)
        history = [one for one in ledger.history(self.declaration.name) if one.at >= began]
        n_trained = sum(one.kind == "registered" for one in history)
        first = simulated.as_trained(bundle)
        others = {"without it (the first champion stays)": (answers.scored(lambda _: first), 0, 0.0)}
        each = 0.0
        if daily:
            models: dict[date, Trained] = dict(
                simulated.trained_daily(published, self.declaration, self._definition(), days)
            )
            each = sum(one.seconds for one in models.values()) / max(len(models), 1)
            of = answers.scored(models.get)
            others["retrained every day, unasked"] = of, len(models), each * len(models)
        ways = simulated.compared(self.declaration, answers, (n_trained, each * n_trained), others)
        return Simulated(
            model=self.declaration.name,
            metric=self.declaration.gate.against_champion.metric,
            first_day=days[0],
            last_day=days[-1],
            n_asked=self.n_asked,
            n_answered=self.n_answered,
            n_known=len(answers.days),
            ways=ways,
            noticed=tuple(sorted(self._noticed.values(), key=lambda one: (one.day, one.where))),
            faults=tuple(one.text for one in self.planted),
            decisions=tuple(
                f"{one.at:%H:%M:%S} {one.kind}: {one.reason}"
                for one in history
                if one.kind in ("promoted", "refused", "rolled_back")
                or (one.kind == "decided" and one.details["is_due"])
            ),
            seconds_a_day=median(self.seconds),
            features_s=median(self.features_s) if self.features_s else None,
        )

    def _logged(self, days: Sequence[date], names: Sequence[str]) -> pa.Table:
        """The first answer about each of the days' flights."""
        also = [*names, "prediction_at"]
        found = newest_of(
            self.settings.prediction_log, self.declaration.name, self.declaration.key, also, 10**9
        )
        assert found is not None  # noqa: S101 they were just answered
        day = pc.cast(found["prediction_at"], pa.date32())
        found = found.append_column("day", day)
        found = found.filter(pc.is_in(day, value_set=pa.array(days, pa.date32()))).sort_by("answered_at")
        keys = found["key"].to_pylist()
        places = list({key: n for n, key in reversed(list(enumerate(keys)))}.values())
        return found.take(pa.array(sorted(places)))

    def _definition(self) -> FeatureDefinition:
        runner, table = DbtRunner(self.settings), self.declaration.features.table
        with Workshop(self.settings).turn():
            sql = runner.online_sql(table)
        return FeatureDefinition.from_manifest(runner.manifest, table, sql)

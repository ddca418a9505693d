"""`headwater up`: compute what is due, then start what serves.

Each step is the job of another module; this is their order, and what to tell of them.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from types import TracebackType
from typing import Self

from rich.markup import escape

from assets.dbt_runner import DbtRunner
from assets.table_code import project_code
from headwater import services
from headwater.console import Note, Voice
from headwater.errors import NothingToServe, RunFailed, UpWithFailures
from headwater.instance import make_instance
from headwater.land import land_with_bar
from headwater.run import Graph, Told, end_dead_runs, heeding_interrupts
from headwater.shipped import SHIPPED, shipped_until
from headwater.stack import HOST, Process, Running, Stack
from ml.access_keys import refuse_without
from ml.arrivals import Segment, due_segments, stale_segments
from ml.computed import Computed
from ml.errors import HeadwaterError
from ml.lake.workshop import Workshop
from ml.ledger import Ledger
from ml.ledger_reading import CROWNING
from ml.packaging import pack
from ml.registry import Registry
from ml.settings import Settings
from ml.sources import declared_sources, rebuild_raw


def bring_up(until: date | None, *, with_endpoint: bool, as_json: bool) -> None:
    """Bring the project up; a second time only what is new is done, and what runs is left alone.

    Neither a failed run nor code that does not load keeps the last champion from serving; both are told.
    """
    began = time.monotonic()
    voice, settings = Voice(as_json), Settings.from_env()
    if with_endpoint:  # else it would be known only after all the rest
        host = os.environ.get("HEADWATER_HOST", HOST)
        refuse_without(host, settings.keys, is_named="HEADWATER_KEYS" in os.environ)
    with _Starting(Stack(settings), voice) as starting:
        _prepare(voice, settings)
        _restore(voice, settings)
        _land(voice, settings, until)
        failures = _graph_side(voice, settings, starting)
        if with_endpoint:
            starting.start(services.endpoint(settings, _bento(voice, settings, failures)))
            starting.wait("endpoint", services.ENDPOINT, services.endpoint_is_ready)
        starting.keep()
    voice.facts["seconds"] = round(time.monotonic() - began, 1)
    _summary(voice, settings, with_endpoint)
    voice.finish()
    if failures:
        raise UpWithFailures(n=len(failures))


def _graph_side(voice: Voice, settings: Settings, starting: "_Starting") -> list[HeadwaterError]:
    """Code server, UI, what is due, sensors; the failures on the way, which were told."""
    server, running = services.code_server(settings), starting.stack.running()
    code_server_lives = services.CODE in running
    is_new_code = not code_server_lives or running[services.CODE].version != server.version
    graph = None
    if is_new_code:
        try:
            graph = _loaded(voice)
        except HeadwaterError as error:
            voice.say(f"[red]{escape(str(error))}[/]")
            return [error]
    starting.start(server)
    starting.start(services.ui(settings))
    end_dead_runs(code_server_lives=code_server_lives)
    failures = _compute(voice, settings, starting, graph)
    starting.wait("code server", services.CODE, services.code_is_ready)
    starting.start(services.daemon(settings))
    starting.wait("Dagster UI", services.UI, services.ui_is_ready)
    return failures


def _loaded(voice: Voice) -> Graph:
    with _step(voice, "load the asset graph"):
        return Graph()


@contextmanager
def _step(voice: Voice, title: str) -> Iterator[Note]:
    """A step that ends with an interrupt when Ctrl-C was pressed in it, whoever swallowed that."""
    with heeding_interrupts(), voice.step(title) as note:
        yield note


class _Starting:
    """Processes being started: stopped again if the command ends before all of them are ready."""

    def __init__(self, stack: Stack, voice: Voice) -> None:
        self.stack, self._voice = stack, voice
        self._new: list[str] = []
        self._running: dict[str, Running] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in reversed(self._new):
            self.stack.stop(name)

    def start(self, process: Process) -> None:
        if process.name not in self.stack.running():
            self._new.append(process.name)
        self._running[process.name] = self.stack.start(process)

    def wait(self, title: str, name: str, is_ready: services.Ready) -> None:
        with self._voice.step(f"wait for the {title}") as note:
            self.stack.wait(self._running[name], is_ready)
            note.text = services.url(name) if self._running[name].port else "ready"

    def keep(self) -> None:
        self._new.clear()


def _prepare(voice: Voice, settings: Settings) -> None:
    with _step(voice, f"prepare {settings.home.name}/") as note:
        note.text = "made" if make_instance(settings) else "there already"


def _restore(voice: Voice, settings: Settings) -> None:
    """Make the workshop again from the kept files, when it is gone and they are not."""
    sources = declared_sources(settings.project)
    kept = [source for source in sources if (settings.home / "files" / source.name).is_dir()]
    if kept and not (settings.home / "workshop.duckdb").exists():
        with _step(voice, "make raw again from the kept files"):
            rebuild_raw(Workshop(settings), settings, kept)
            Computed(settings).forget()


def _land(voice: Voice, settings: Settings, until: date | None) -> None:
    has_landed = settings.landing.is_dir() and any(settings.landing.iterdir())
    if until is None and has_landed:
        return
    with _step(voice, "land files") as note:
        wanted = {shipped_until(until): until} if until else {one: one.first_until for one in SHIPPED}
        n_new = sum(land_with_bar(voice, settings, data, None, day) for data, day in wanted.items())
        note.text = f"{n_new} new files in {settings.landing}"


def _compute(
    voice: Voice, settings: Settings, starting: _Starting, graph: Graph | None
) -> list[HeadwaterError]:
    """Run what is due; `graph` is given when the code is new, and then the models are asked as well.

    A run that refuses files fails, and leaves the days without refused files due: these are run again.
    """
    runner = DbtRunner(settings)
    failures: list[HeadwaterError] = []
    tried: set[str] = set()
    while segments := [one for one in _due(voice, settings, runner) if one.digest not in tried]:
        starting.stack.stop(services.DAEMON)  # it would ask for the same days
        graph = graph or _loaded(voice)
        for segment in segments:
            tried.add(segment.digest)
            _run(voice, f"run {segment}", partial(graph.run, segment, _told(voice)), failures)
        if not failures:
            return []
    if graph and not tried:
        _train(voice, settings, graph, failures)
    return failures


def _train(voice: Voice, settings: Settings, graph: Graph, failures: list[HeadwaterError]) -> None:
    """Ask the models once after the code changed: another declaration may want another training."""
    asked, version = settings.home / "run" / "models_asked", services.code_version(settings)
    if asked.exists() and asked.read_text() == version:
        return
    _run(voice, "train what is due", partial(graph.run_models, version, _told(voice)), failures)
    asked.write_text(version)


def _due(voice: Voice, settings: Settings, runner: DbtRunner) -> tuple[Segment, ...]:
    with _step(voice, "look for days that are due") as note:
        tables = project_code(runner).tables.values()
        segments = (*stale_segments(settings, tables), *due_segments(settings, lambda: tables))
        listed = [f"{segment}{_stale(segment)}" for segment in segments]
        note.text = ", ".join(listed) or "none: everything landed is computed"
    return segments


def _stale(segment: Segment) -> str:
    return f" ({len(segment.tables)} stale tables)" if segment.tables else ""


def _run(voice: Voice, title: str, run: Callable[[], str], failures: list[HeadwaterError]) -> None:
    with voice.step(title) as note:
        try:
            note.text = f"{services.url(services.UI)}/runs/{run()}"
        except RunFailed as failure:
            failures.append(failure)
            note.fail()
            voice.say(f"[red]{escape(str(failure))}[/]")


def _told(voice: Voice) -> Told:
    return Told(voice.substep, voice.advance, voice.remark)


def _bento(voice: Voice, settings: Settings, failures: list[HeadwaterError]) -> str:
    """The Bento of the model that was first a champion, packed here when a run ended before it came to that.

    Served, it answers for all models of the project; `/predict` without a name is this one's.
    """
    champions = Ledger(settings.ledger_url).champions()
    if not champions:
        raise failures[0] if failures else NothingToServe(landing=settings.landing)
    first = Ledger(settings.ledger_url).history(None, *CROWNING)[0].model
    champion = next(one for one in champions if one.model == first)
    with _step(voice, "pack the endpoint") as note:
        bundle = Registry(settings.registry).get(champion.model, champion.version)
        note.text = pack(settings, bundle).tag
    return note.text


def _summary(voice: Voice, settings: Settings, with_endpoint: bool) -> None:
    rows = []
    if services.UI in Stack(settings).running():
        rows += [("Dagster UI", services.url(services.UI) + "/asset-groups")]
    if with_endpoint:
        rows += [("endpoint", services.url(services.ENDPOINT)), ("try it", "headwater predict")]
    champions = Ledger(settings.ledger_url).champions()
    rows += [(f"champion of {champion.model}", champion.version[:12]) for champion in champions]
    rows += [
        *_more(settings),
        ("state", str(settings.home)),
        ("stop", "headwater down"),
    ]
    voice.facts.update(dict(rows))
    voice.say()
    voice.table(f"Up in {voice.facts['seconds']} s", rows)


def _more(settings: Settings) -> Iterator[tuple[str, str]]:
    """How to land what comes next of the data that has landed."""
    days = [day for _, day in Computed(settings).files() if day is not None]
    for data in SHIPPED:
        own = [day for day in days if data.has(day)]
        if own:
            yield data.more, f"headwater land --until {min(max(own) + data.ahead, data.last_day)}"

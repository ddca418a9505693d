"""`headwater recall`: what a raw file reached, and, when asked to, a world in which it never came.

What it reached is `ml.reach`'s, undoing it `ml.recalling`'s; this is the order of the steps.
"""

import getpass
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date

from rich.markup import escape

from headwater.console import Voice
from ml import recalling
from ml.arrivals import Segment, stale_segments
from ml.errors import HeadwaterError, RecallUnfinished
from ml.reach import Reach, ReachedModel, reach_of
from ml.settings import Settings
from ml.sources import declared_sources
from ml.sources.recalled import Found, Recall, find, note, recalls
from ml.tables import Table

NO_PREDICTIONS = "predictions are not logged: the times at which servers answered are all that is known"


@dataclass(frozen=True)
class Runs:
    """How what is stale is built, and how a model is trained; both raise HeadwaterError when that fails."""

    tables: Callable[[], Mapping[str, Table]]
    build: Callable[[Segment], object]
    train: Callable[[str], object]


def recall_file(wanted: str, reason: str, *, execute: bool, as_json: bool) -> None:
    """Print what a file reached; with `execute`, undo it.

    Raises:
        NoSuchFile, SeveralFiles: it is not clear which file is meant.
        LookedUp: without it, files of other sources could not be read; nothing was changed.
        RecallUnfinished: a step failed; what serves goes on serving.
    """
    from assets.dbt_runner import DbtRunner
    from assets.table_code import project_code

    voice, settings = Voice(as_json), Settings.from_env()
    file = find(settings, [one.name for one in declared_sources(settings.project)], wanted)
    runner = DbtRunner(settings)
    show(voice, settings, reach_of(settings, file, project_code(runner).tables))
    try:
        if execute:
            execute_recall(voice, settings, file, reason, _runs(voice, settings, runner))
    finally:
        voice.finish()


def show(voice: Voice, settings: Settings, reach: Reach) -> None:
    """Tell what a file reached."""
    file = reach.file
    done = recalls(settings).get((file.source, file.sha256))
    voice.facts["reach"] = {
        "source": file.source,
        "sha256": file.sha256,
        "versions": [asdict(one) for one in file.versions],
        "recalled": {"at": done.at, "reason": done.reason, "is_done": done.is_done} if done else None,
        "partitions": {name: _days(days) for name, days in reach.partitions.items()},
        "features": reach.features,
        "models": [asdict(one) for one in reach.models],
        "predictions": NO_PREDICTIONS,
    }
    when = ", ".join(f"{one.day or 'once'} at {one.loaded_at:%Y-%m-%d %H:%M:%S} UTC" for one in file.versions)
    voice.say(f"[bold]{file.source}[/] {file.sha256[:12]}, taken in for {when}")
    if done:
        told = "recalled" if done.is_done else "its recall is under way; go on with --execute"
        voice.say(f"{told} ({done.at:%Y-%m-%d %H:%M} UTC: {escape(done.reason)})")
    rows = [(name, _span(days)) for name, days in reach.partitions.items()]
    voice.table("Days that read it", rows)
    voice.table(
        "Features of champions that its values get into",
        [(name, f"{len(columns)}: {', '.join(columns)}") for name, columns in reach.features.items()],
    )
    voice.table("Models", [row for one in reach.models for row in _model(one)] or [("none", "")])
    voice.say(f"({NO_PREDICTIONS})")


def execute_recall(voice: Voice, settings: Settings, file: Found, reason: str, runs: Runs) -> Recall:
    """Undo what the file reached, step by step; killed and called again, it goes on."""
    actor = f"{getpass.getuser()}@{platform.node()}"
    recall = recalling.begin(settings, file, reason=reason, actor=actor)
    if recall.is_done:
        voice.say("Everything is done already.")
        return recall
    with voice.step("set the file aside") as told:
        changed = recalling.withdraw(settings, recall)
        told.text = ", ".join(f"{name} {_span(days)}" for name, days in changed.items() if days)
    for model in recall.retrain:
        with voice.step(f"look at champion of {model}") as told:
            back = recalling.back_to_clean(settings, file, model, recall)
            was = recalling.tainted(settings, file, model)
            kept = f"{was[:12]} was reached, and no champion before it is free of the file" if was else "free"
            told.text = f"rolled back to {back.version[:12]}" if back else kept
    troubles = [*_recompute(voice, settings, runs)]
    if not troubles:
        recalling.clear_gone(settings, recall)
        recall, troubles = _retrain(voice, settings, file, recall, runs)
    same = recall.trained or {}
    serving = [
        one for one in recall.retrain if recalling.tainted(settings, file, one) not in {None, same.get(one)}
    ]
    troubles += [
        f"CHAMPION OF {one} IS STILL ONE THAT THE FILE REACHED, and goes on serving" for one in serving
    ]
    voice.facts["troubles"] = troubles
    if troubles:
        raise RecallUnfinished(troubles)
    return note(settings, replace(_noted(settings, recall), is_done=True))


def _recompute(voice: Voice, settings: Settings, runs: Runs) -> Iterable[str]:
    tried: set[str] = set()
    while segments := [
        one for one in stale_segments(settings, runs.tables().values()) if one.digest + str(one) not in tried
    ]:
        for segment in segments:
            tried.add(segment.digest + str(segment))
            with voice.step(f"compute {segment}") as told:
                try:
                    runs.build(segment)
                    told.text = f"{len(segment.tables)} tables"
                except HeadwaterError as error:
                    told.fail()
                    yield str(error)


def _retrain(
    voice: Voice, settings: Settings, file: Found, recall: Recall, runs: Runs
) -> tuple[Recall, list[str]]:
    troubles = []
    for model in recall.retrain:
        recall = _noted(settings, recall)
        with voice.step(f"train {model} again") as told:
            try:
                trained = recall.trained or {}
                if model not in trained:
                    runs.train(model)
                    trained = {**trained, model: _candidate(settings, model)}
                    recall = note(settings, replace(recall, trained=trained))
                version = trained[model]
                was = recalling.tainted(settings, file, model)
                same, was = was == version, None if was == version else was
                why = was and recalling.crown_retrained(settings, model, version, recall, was)
            except HeadwaterError as error:
                why = str(error)
            if why:
                told.fail()
                troubles.append(why)
            else:
                how = ", the same to the bit without the file" if same else ", promoted" if was else ""
                told.text = f"{version[:12]}{how}"
    return recall, troubles


def _noted(settings: Settings, recall: Recall) -> Recall:
    return recalls(settings)[recall.source, recall.sha256]


def _candidate(settings: Settings, model: str) -> str:
    """The version that the last training gave."""
    told = json.loads((settings.home / "values" / model / "candidate.json").read_text())
    return str(told["version"])


def _runs(voice: Voice, settings: Settings, runner: object) -> Runs:
    from functools import cache

    from assets.dbt_runner import DbtRunner
    from assets.table_code import project_code
    from headwater.instance import make_instance
    from headwater.run import Graph, Told

    told = Told(voice.substep, voice.advance, voice.remark)
    assert isinstance(runner, DbtRunner)  # noqa: S101  its import is put off until a command needs it

    @cache
    def graph() -> Graph:
        make_instance(settings)
        return Graph()

    return Runs(
        lambda: project_code(runner).tables,
        lambda segment: graph().run(segment, told),
        lambda model: graph().train(model, told),
    )


def _days(days: Iterable[date | None]) -> list[str]:
    return [str(day or "once") for day in days]


def _span(days: Iterable[date | None]) -> str:
    listed = _days(days)
    return f"{listed[0]} to {listed[-1]}, {len(listed)} days" if len(listed) > 1 else ", ".join(listed)


def _model(one: ReachedModel) -> Iterable[tuple[str, str]]:
    title = f"{one.model} {one.version[:12]}"
    yield title, f"{'champion now; ' if one.is_champion else ''}{one.why}"
    for crowned in one.champion:
        yield "", f"champion from {crowned.since:%Y-%m-%d %H:%M:%S} until {_until(crowned.until)} UTC"
    for loaded in one.loaded:
        yield (
            "",
            f"{loaded.server} loaded it {loaded.since:%Y-%m-%d %H:%M:%S}, until {_until(loaded.until)} UTC",
        )


def _until(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "now"

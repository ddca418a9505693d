"""Undoing what a raw file reached, step by step; each step may be killed and done again.

Afterwards things are as if the file had never come. Building tables and training is the caller's.
"""

import dataclasses
from datetime import UTC, date, datetime

import duckdb

from ml.computed import Arrival, Build, Computed, Key
from ml.errors import LookedUp
from ml.evaluation import Evaluation
from ml.gate import decide
from ml.gathering import keep_edition
from ml.lake.published import Published
from ml.lake.workshop import Workshop
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.ledger_reading import CROWNING
from ml.promotion import roll_back
from ml.reach import is_reached, looking_up
from ml.registry import Registry
from ml.settings import Settings
from ml.sources import kept, raw, recalled
from ml.sources.catalogue import declared_sources
from ml.sources.declaration import Source
from ml.sources.landed import reconsider
from ml.sources.rebuilding import looked_up_first
from ml.sources.recalled import Found, Recall
from ml.sources.taking import take_in
from ml.stale import Traces
from ml.tables import raw_name

_ONCE = "once"
GONE = ""  # stands for the bytes of a day that has no file any more


def begin(settings: Settings, file: Found, *, reason: str, actor: str) -> Recall:
    """Write down that the file is recalled: from now on its bytes are refused. Raises LookedUp.

    One that was begun before goes on as it stands, with the reason given then.
    """
    begun = recalled.recalls(settings).get((file.source, file.sha256))
    if begun:
        return begun
    sources = declared_sources(settings.project)
    others = looking_up(sources, file.source)
    left = {
        one
        for day in kept.days_kept(settings, file.source)
        for one in kept.versions(settings, file.source, day)
        if one.sha256 != file.sha256
    }
    if others and not left:
        raise LookedUp(file.source, sorted(others))
    touched = [one for one in sources if one.name in {file.source, *others}]
    with Workshop(settings).turn(), Workshop(settings).connect() as con:
        before = {one.name: _digests(con, one) for one in touched}
    names = tuple(kept.name_of(version) for version in file.versions)
    ledger, registry = Ledger(settings.ledger_url), Registry(settings.registry)
    models = sorted(
        {
            one.model
            for one in ledger.history(None, "registered")
            if ledger.champion(one.model) and is_reached(registry, one, file)
        }
    )
    made = Recall(
        file.source, file.sha256, reason, actor, datetime.now(UTC), names, before, tuple(models), trained={}
    )
    return recalled.note(settings, made)


def withdraw(settings: Settings, recall: Recall) -> dict[str, list[date | None]]:
    """Set the copies aside and make raw again without them; by source the days whose rows are other now.

    What the source's other files were held against, and what others look up in it, counts too: all their
    kept copies are taken in again. Days whose rows changed are stale from then on.
    """
    sources = [one for one in declared_sources(settings.project) if one.name in recall.before]
    with Workshop(settings).turn():
        recall = recalled.set_aside(settings, recall)
        for source in looked_up_first(sources):
            take_in(Workshop(settings), settings, source, (), anew=True)
        with Workshop(settings).connect() as con:
            after = {source.name: _digests(con, source) for source in sources}
        changed = {name: _changed(recall.before[name], after[name]) for name in after}
        changed[recall.source] = sorted(
            {*changed[recall.source], *(kept.version_of(name).day for name in recall.names)}, key=str
        )
        _mark(settings, recall, changed)
    message = str(recall.refusal(settings.landing / recall.source))
    for name in changed:
        reconsider(settings, name, recall.sha256 if name == recall.source else "", message)
    return changed


def clear_gone(settings: Settings, recall: Recall) -> None:
    """Forget the days that have no file of the source any more, once nothing is made from them."""
    days = {kept.version_of(name).day for name in recall.names}
    computed = Computed(settings)
    computed.drop_files(
        (recall.source, day) for day in days if computed.files().get((recall.source, day)) == GONE
    )


def back_to_clean(settings: Settings, file: Found, model: str, recall: Recall) -> Entry | None:
    """Roll back to the last champion that the file did not reach; None when there is no need, or none."""
    ledger, registry = Ledger(settings.ledger_url), Registry(settings.registry)
    if not tainted(settings, file, model):
        return None
    clean = [
        one for one in _former(ledger, model) if not is_reached(registry, _registered(ledger, one), file)
    ]
    if not clean:
        return None
    return roll_back(ledger, registry, model, clean[0].version, reason=_because(recall), actor=recall.actor)


def tainted(settings: Settings, file: Found, model: str) -> str | None:
    """The champion, if the file reached it."""
    ledger = Ledger(settings.ledger_url)
    now = ledger.champion(model)
    if now and is_reached(Registry(settings.registry), _registered(ledger, now), file):
        return now.version
    return None


def crown_retrained(settings: Settings, model: str, version: str, recall: Recall, expected: str) -> str:
    """Promote what was trained again in place of a champion that the file reached; why not, or nothing.

    A champion that must go is no measure: only the declared floors are. May be said again.
    """
    ledger, registry = Ledger(settings.ledger_url), Registry(settings.registry)
    bundle = registry.get(model, version)
    judged = [one for one in ledger.history(model, "refused") if one.version == version]
    if not judged:
        return f"{model} {version[:12]} was not evaluated"
    kept_ = registry.get_evaluation(model, version, judged[-1].details["evaluation"], "evaluation.json")
    evaluation = Evaluation.from_json(kept_)
    alone = dataclasses.replace(evaluation, champion=None, comparison=None)
    decision = decide(alone, bundle.declaration.gate)
    if not decision.promote:
        return f"{model} {version[:12]}, trained again, is refused: {decision.text}"
    published = Published(settings)
    keep_edition(published, bundle, published.edition().id)
    with ledger.transaction() as act:
        act.promote(
            model,
            version,
            expected=expected,
            reason=f"{_because(recall)}; "
            f"not judged beside {expected[:12]}, which it reached: {decision.text}",
            details={
                "evaluation": evaluation.id,
                "metrics": dict(evaluation.metrics),
                "recall": recall.sha256,
            },
            actor=recall.actor,
        )
    return ""


def _because(recall: Recall) -> str:
    return f"{recall.source} {recall.sha256[:12]} was recalled: {recall.reason}"


def _former(ledger: Ledger, model: str) -> list[Entry]:
    """The champions that stand one upon the other, the newest first, then those that were left behind."""
    line = ledger.line_of_champions(model)[::-1][1:]
    return [*line, *ledger.history(model, *CROWNING)[::-1]]


def _registered(ledger: Ledger, one: Entry) -> Entry:
    entries = ledger.history(one.model, "registered")
    return next(entry for entry in entries if entry.version == one.version)


def _digests(con: duckdb.DuckDBPyConnection, source: Source) -> dict[str, str]:
    """By day a digest of the rows that readers of raw see, in whatever order."""
    raw.make_tables(con)
    if not con.execute("select 1 from raw.declarations where source = ?", [source.name]).fetchone():
        return {}
    rows = con.execute(
        "select day, sum(hash(rows_)::hugeint), count(*) "
        f"from raw.{source.name}_versions as rows_ group by day"
    ).fetchall()
    return {str(day or _ONCE): f"{total}/{n}" for day, total, n in rows}


def _changed(before: dict[str, str], after: dict[str, str]) -> list[date | None]:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [None if name == _ONCE else date.fromisoformat(name) for name in names]


def _mark(settings: Settings, recall: Recall, changed: dict[str, list[date | None]]) -> None:
    """Note that raw's days are other, and what the recalled days are from now."""
    computed = Computed(settings)
    builds, files = computed.builds(), computed.files()
    mark = Traces((), builds).next_mark
    marked: dict[Key, Build] = {}
    arrivals: list[Arrival] = []
    for name, days in changed.items():
        for day in days:
            newest = [one.sha256 for one in kept.versions(settings, name, day)][-1:]
            was = files.get((name, day))
            if was is not None and name == recall.source:
                arrivals.append(Arrival(name, day, was if was != recall.sha256 else (newest or [GONE])[0]))
            data = (newest or [GONE])[0]
            marked[raw_name(name), day] = Build(
                data=data, changed_at=mark, run=f"recall {recall.sha256[:12]}"
            )
    computed.write(marked)
    if arrivals:
        computed.record(arrivals, Published(settings).edition().id)

"""`headwater audit`: does any feature or label know what was not known yet?

How leaks are found is `ml.proofs.leakage`'s; nothing of the project is changed.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from assets.calendar import project_calendars
from assets.compiled_tables import audit_plan, audited_tables
from assets.dbt_runner import DbtRunner
from headwater.console import Voice
from headwater.errors import NotAudited, NothingToAudit
from ml.calendars import Calendar
from ml.computed import Computed
from ml.lake.workshop import Workshop
from ml.proofs.cutoffs import Sample
from ml.proofs.leakage import Audit, Leak, audit
from ml.proofs.rebuild import copied
from ml.settings import Settings


def audit_tables(names: tuple[str, ...], n_cutoffs: int, seed: int, *, as_json: bool) -> None:
    """Audit the named tables (none: all) at sampled cutoffs, and tell what was found.

    Raises:
        LeakFound, StandsOtherwise: something was found.
    """
    voice, settings = Voice(as_json), Settings.from_env()
    runner = DbtRunner(settings)
    files = Computed(settings).files()
    days = {one: one.computed(files) for one in project_calendars(runner)}
    if not any(days.values()) or not (settings.home / "workshop.duckdb").exists():
        raise NothingToAudit(home=settings.home)
    only = _relations(runner, names)
    found = [
        _audit(voice, runner, calendar, own, Sample(n_cutoffs, seed, of[0], of[-1], runner.zones()))
        for calendar, of in days.items()
        if of and (own := tuple(name for name in only if name.rpartition(".")[2] in calendar.tables))
    ]
    _tell(voice, found)
    voice.finish()
    for one in found:
        one.raise_failed()


def _relations(runner: DbtRunner, names: Sequence[str]) -> tuple[str, ...]:
    known = {relation.rpartition(".")[2]: relation for relation in audited_tables(runner).values()}
    for name in names:
        if name not in known:
            raise NotAudited(table=name, known=known)
    return tuple(known[name] for name in names or known)


def _audit(
    voice: Voice, runner: DbtRunner, calendar: Calendar, only: tuple[str, ...], sample: Sample
) -> Audit:
    title = f"audit {calendar.name} for leaks"
    with voice.step(title) as note, copied(Workshop(runner.settings)) as snapshot:
        with voice.progress("cutoffs", sample.n) as bar:
            plan = audit_plan(runner, snapshot, calendar, only, lambda at: bar.advance(str(at)))
            found = audit(plan, sample)
        n = sum(found.compared.values())
        note.text = f"{len(found.cutoffs)} cutoffs, {n:,} due rows compared, {len(found.leaks)} leaks"
    return found


def _tell(voice: Voice, found: Sequence[Audit]) -> None:
    cutoffs = [cutoff for one in found for cutoff in one.cutoffs]
    compared = {name: n for one in found for name, n in one.compared.items()}
    voice.table("Cutoffs", [(str(cutoff), cutoff.why) for cutoff in cutoffs])
    voice.table("Due rows compared", [(name, f"{n:,}") for name, n in sorted(compared.items())])
    voice.facts |= {
        "cutoffs": [asdict(cutoff) for cutoff in cutoffs],
        "compared": compared,
        "leaks": [_told(leak) for one in found for leak in one.leaks],
        "stand_otherwise": [name for one in found for name in one.otherwise],
    }


def _told(leak: Leak) -> dict[str, Any]:
    return asdict(leak) | {"cutoff": leak.cutoff.at, "n_raw_rows": len(leak.rows)}

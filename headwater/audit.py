"""`headwater audit`: does any feature or label know what was not known yet?

How leaks are found is `ml.proofs.leakage`'s; nothing of the project is changed.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from assets.compiled_tables import audited_tables, compiled_tables, described_tables
from assets.dbt_runner import DbtRunner
from headwater.console import Voice
from headwater.errors import NotAudited, NothingToAudit
from ml.computed import Computed
from ml.lake.workshop import Workshop
from ml.proofs.cutoffs import Sample
from ml.proofs.leakage import Audit, Leak, Plan, audit
from ml.proofs.rebuild import copied
from ml.settings import Settings
from ml.sources.catalogue import declared_sources


def audit_tables(names: tuple[str, ...], n_cutoffs: int, seed: int, *, as_json: bool) -> None:
    """Audit the named tables (none: all) at sampled cutoffs, and tell what was found.

    Raises:
        LeakFound, StandsOtherwise: something was found.
    """
    voice, settings = Voice(as_json), Settings.from_env()
    runner = DbtRunner(settings)
    days = sorted(day for _, day in Computed(settings).files() if day is not None)
    if not days or not (settings.home / "workshop.duckdb").exists():
        raise NothingToAudit(home=settings.home)
    only = _relations(runner, names)
    found = _audit(voice, runner, only, Sample(n_cutoffs, seed, days[0], days[-1], runner.zones()))
    _tell(voice, found)
    voice.finish()
    found.raise_failed()


def _relations(runner: DbtRunner, names: Sequence[str]) -> tuple[str, ...]:
    known = {relation.rpartition(".")[2]: relation for relation in audited_tables(runner).values()}
    for name in names:
        if name not in known:
            raise NotAudited(table=name, known=known)
    return tuple(known[name] for name in names or known)


def _audit(voice: Voice, runner: DbtRunner, only: tuple[str, ...], sample: Sample) -> Audit:
    def compiled(first: date, last: date) -> Sequence[Any]:
        return compiled_tables(runner, first, last)

    sources, tables = declared_sources(runner.settings.project), described_tables(runner)
    with voice.step("audit for leaks") as note, copied(Workshop(runner.settings)) as snapshot:
        with voice.progress("cutoffs", sample.n) as bar:
            plan = Plan(
                snapshot, sources, tables, compiled, only=only, on_cutoff=lambda at: bar.advance(str(at))
            )
            found = audit(plan, sample)
        n = sum(found.compared.values())
        note.text = f"{len(found.cutoffs)} cutoffs, {n:,} due rows compared, {len(found.leaks)} leaks"
    return found


def _tell(voice: Voice, found: Audit) -> None:
    voice.table("Cutoffs", [(str(cutoff), cutoff.why) for cutoff in found.cutoffs])
    voice.table("Due rows compared", [(name, f"{n:,}") for name, n in sorted(found.compared.items())])
    voice.facts |= {
        "cutoffs": [asdict(cutoff) for cutoff in found.cutoffs],
        "compared": dict(found.compared),
        "leaks": [_told(leak) for leak in found.leaks],
        "stand_otherwise": list(found.otherwise),
    }


def _told(leak: Leak) -> dict[str, Any]:
    return asdict(leak) | {"cutoff": leak.cutoff.at, "n_raw_rows": len(leak.rows)}

"""`headwater prove`: are the tables what a full rebuild gives, and the same with any number of threads?

How tables are proved is `assets.table_proofs`'; nothing of the project is changed.
"""

from collections.abc import Collection
from typing import Any

from assets.compiled_tables import described_tables
from assets.dbt_runner import DbtRunner
from assets.table_proofs import PROOFS, Moment, Proved, moment
from headwater.console import Voice
from headwater.errors import NothingToAudit, NotProved
from ml.settings import Settings


def prove_tables(names: tuple[str, ...], *, as_json: bool) -> None:
    """Prove the named tables (none: all), and tell what was found.

    Raises:
        ProofFailed: a table is otherwise.
    """
    voice, settings = Voice(as_json), Settings.from_env()
    if not (settings.home / "workshop.duckdb").exists():
        raise NothingToAudit(home=settings.home)
    runner = DbtRunner(settings)
    only = _tables(runner, names)
    with moment(runner) as now:
        if not any(now.days.values()):
            raise NothingToAudit(home=settings.home)
        found = [_prove(voice, now, proof, only) for proof in PROOFS]
    stale = {name: told for proved in found for name, told in proved.stale.items()}
    if stale:
        voice.table("Not judged", sorted(stale.items()))
    voice.facts |= {proved.proof: _told(proved) for proved in found} | {"tables": sorted(only)}
    voice.finish()
    for proved in found:
        proved.raise_failed()


def _tables(runner: DbtRunner, names: Collection[str]) -> set[str]:
    known = {table.name for table in described_tables(runner) if not table.is_view}
    for name in names:
        if name not in known:
            raise NotProved(table=name, known=known)
    return set(names) or known


def _prove(voice: Voice, now: Moment, proof: str, only: set[str]) -> Proved:
    with voice.step(proof.replace("_", " ")) as note:
        proved = now.prove(proof, only)
        note.text = f"{len(only)} tables, {proved.days}, {len(proved.faults)} otherwise"
    return proved


def _told(proved: Proved) -> dict[str, Any]:
    return {
        "days": [proved.first_day, proved.last_day],
        "faults": {name: [str(fault) for fault in found] for name, found in proved.faults.items()},
        "stale": dict(proved.stale),
    }

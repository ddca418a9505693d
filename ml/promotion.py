"""From an evaluation to the ledger: compared, then promoted or refused; and back again.

What a decision rests on is the gate's matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from ml import canonical
from ml.bundle import Bundle
from ml.declared_gate import AgainstChampion, Gate
from ml.evaluation import Evaluation
from ml.gate import Decision, decide, is_test_due
from ml.ledger import Ledger, Transaction
from ml.ledger_entries import Entry
from ml.registry import Registry
from ml.spending import YEAR, Spending, spend


@dataclass(frozen=True)
class Outcome:
    """What the ledger says now; `unchanged` when the version was champion before."""

    kind: Literal["promoted", "refused", "unchanged"]
    champion: str | None
    entry: Entry
    text: str


def register(ledger: Ledger, registry: Registry, bundle: Bundle, actor: str) -> Entry:
    """Store a candidate's bundle and note it; both do nothing the second time."""
    uri = registry.put(bundle)
    with ledger.transaction() as act:
        return act.register(bundle.model, bundle.version, uri, _details(bundle), actor)


def judge(ledger: Ledger, evaluation: Evaluation, gate: Gate, *, actor: str) -> Decision:
    """Decide by the gate, and note what a test beside the champion found and spent, in one transaction.

    The same candidate on the same rows beside the same champion is one test, however often it is judged.
    """
    if not is_test_due(evaluation, gate):
        return decide(evaluation, gate)
    model, rule = evaluation.model, gate.against_champion
    names = (model, evaluation.version, evaluation.champion, evaluation.rows_sha256[:16], rule.metric)
    once = ":".join(("compared", *map(str, names)))
    with ledger.transaction() as act:
        said = act.said(once)
        before = said.details if said else None
        spending = (
            Spending(before["level"], before["left"], before["nth"]) if before else _next(act, model, rule)
        )
        decision = decide(evaluation, gate, spending)
        act.add(
            "compared",
            model,
            evaluation.version,
            previous=evaluation.champion,
            reason=decision.reasons[-1].text,
            details={"evaluation": evaluation.id, **canonical.plain(decision.test)},
            actor=actor,
            once=once,
        )
    return decision


def settle(
    ledger: Ledger,
    registry: Registry,
    bundle: Bundle,
    evaluation: Evaluation,
    decision: Decision,
    *,
    actor: str,
) -> Outcome:
    """Promote or refuse as decided, in one transaction; killed at any point and run again, it ends the same.

    What was rolled back is not promoted by the same evaluation again. Raises ChampionChanged when the
    champion is no longer the one of the evaluation: evaluate again.
    """
    model, version = bundle.model, bundle.version
    uri = registry.put(bundle)
    told = {**_told(evaluation, decision), "labelled_until": bundle.origin["tested_on"]["last_day"]}
    with ledger.transaction() as act:
        act.register(model, version, uri, _details(bundle), actor)
        champion = act.champion(model)
        if not decision.promote:
            said: dict[str, Any] = {"reason": decision.text, "once": evaluation.id}
        elif champion and champion.version == version:
            since = f"{champion.at:%Y-%m-%d %H:%M:%S} UTC"
            return Outcome("unchanged", version, champion, f"{version[:12]} is the champion since {since}")
        elif back := _withdrawn(act, model, evaluation):
            said = {"reason": _not_again(back), "once": f"{evaluation.id}:{back.entry}"}
        else:
            reason, expected = decision.text, evaluation.champion
            entry = act.promote(model, version, expected=expected, reason=reason, details=told, actor=actor)
            return Outcome("promoted", version, entry, reason)
        refusal = act.refuse(model, version, details=told, actor=actor, **said)
        return Outcome("refused", champion.version if champion else None, refusal, said["reason"])


def roll_back(
    ledger: Ledger, registry: Registry, model: str, to: str | None, *, reason: str, actor: str
) -> Entry:
    """Make the champion before, or `to` if it ever was one, champion again, in one transaction.

    Raises NothingToRollBackTo or NeverChampion, and, changing nothing, VersionNotFound or BundleRefused when
    the bundle could not be served any more.
    """
    with ledger.transaction() as act:
        entry = act.roll_back(model, to, reason=reason, details={}, actor=actor)
        registry.get(model, entry.version)
    return entry


def trained_until(ledger: Ledger, model: str) -> date | None:
    """The last training day of the newest candidate, for the retrain policy; None before the first."""
    newest = ledger.newest(model, "registered")
    return date.fromisoformat(newest.details["trained_until"]) if newest else None


def retrained(ledger: Ledger, model: str) -> tuple[date, ...]:
    """Of each candidate so far the newest labelled day there was, oldest first."""
    entries = ledger.history(model, "registered")
    days = [one.details.get("labelled_until", one.details["trained_until"]) for one in entries]
    return tuple(map(date.fromisoformat, days))


def _next(act: Transaction, model: str, rule: AgainstChampion) -> Spending:
    """What the next test may spend, after those of the year before now."""
    since = datetime.now(UTC) - YEAR
    spent = [entry.details["level"] for entry in act.history(model, "compared") if entry.at > since]
    return spend(spent, rule.yearly_alpha, rule.spend)


def _withdrawn(act: Transaction, model: str, evaluation: Evaluation) -> Entry | None:
    """The rollback that left behind what this evaluation promoted."""
    backs = act.history(model, "rolled_back")
    return next((back for back in backs if evaluation.id in back.details["withdrawn"]), None)


def _not_again(back: Entry) -> str:
    return (
        f"it was promoted by this evaluation before and rolled back on {back.at:%Y-%m-%d %H:%M:%S} UTC by "
        f"{back.actor} ({back.reason}); only another evaluation can promote it again"
    )


def _told(evaluation: Evaluation, decision: Decision) -> Mapping[str, Any]:
    return {
        "evaluation": evaluation.id,
        "metrics": dict(evaluation.metrics),
        "reasons": [{"is_met": reason.is_met, "text": reason.text} for reason in decision.reasons],
        "test": canonical.plain(decision.test) if decision.test else None,
    }


def _details(bundle: Bundle) -> dict[str, Any]:
    return {
        "trained_from": bundle.receipt["rows"]["first_day"],
        "trained_until": bundle.receipt["rows"]["last_day"],
        "labelled_until": bundle.origin["tested_on"]["last_day"],
        "n_rows": bundle.receipt["rows"]["n_rows"],
        "edition": bundle.origin["edition"],
    }

"""From a decision to the ledger: registered, then promoted or refused, in one transaction.

What the decision rests on is the gate's matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from ml.bundle import Bundle
from ml.evaluation import Evaluation
from ml.gate import Decision
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.registry import Registry


@dataclass(frozen=True)
class Outcome:
    """What the ledger says now; `unchanged` when the version was champion before."""

    kind: Literal["promoted", "refused", "unchanged"]
    champion: str | None
    entry: Entry
    text: str


def register(ledger: Ledger, registry: Registry, bundle: Bundle, actor: str) -> Entry:
    """Store a candidate's bundle and note it; both do nothing the second time."""
    return ledger.register(bundle.model, bundle.version, registry.put(bundle), _details(bundle), actor)


def settle(
    ledger: Ledger,
    registry: Registry,
    bundle: Bundle,
    evaluation: Evaluation,
    decision: Decision,
    *,
    actor: str,
) -> Outcome:
    """Promote or refuse as decided; killed at any point and run again, it ends the same.

    Raises ChampionChanged when the champion is no longer the one of the evaluation: evaluate again.
    """
    model, version = bundle.model, bundle.version
    uri = registry.put(bundle)
    told: Mapping[str, Any] = {
        "evaluation": evaluation.id,
        "metrics": dict(evaluation.metrics),
        "reasons": [{"is_met": reason.is_met, "text": reason.text} for reason in decision.reasons],
    }
    with ledger.transaction() as together:
        together.register(model, version, uri, _details(bundle), actor)
        if not decision.promote:
            refusal = together.refuse(
                model, version, reason=decision.text, details=told, actor=actor, once=evaluation.id
            )
            champion = together.champion(model)
            return Outcome("refused", champion.version if champion else None, refusal, decision.text)
        promotion = together.promote(
            model,
            version,
            expected=evaluation.champion,
            reason=decision.text,
            details=told,
            actor=actor,
        )
    if not promotion.is_new:
        since = f"{promotion.entry.at:%Y-%m-%d %H:%M:%S} UTC"
        return Outcome("unchanged", version, promotion.entry, f"{version[:12]} is the champion since {since}")
    return Outcome("promoted", version, promotion.entry, decision.text)


def trained_until(ledger: Ledger, model: str) -> date | None:
    """The last training day of the newest candidate, for the retrain policy; None before the first."""
    newest = ledger.newest(model, "registered")
    return date.fromisoformat(newest.details["trained_until"]) if newest else None


def _details(bundle: Bundle) -> dict[str, Any]:
    return {
        "trained_from": bundle.receipt["rows"]["first_day"],
        "trained_until": bundle.receipt["rows"]["last_day"],
        "n_rows": bundle.receipt["rows"]["n_rows"],
        "edition": bundle.origin["edition"],
    }

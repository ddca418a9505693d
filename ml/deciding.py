"""What the retrain policy is told, from what is kept and noted; and every decision, written to the ledger.

What is decided is `ml.retrain`'s matter.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from ml import canonical, promotion
from ml.declaration import ModelDeclaration
from ml.declared_retrain import DriftTrigger
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.observing import Drift, kept
from ml.quality import Quality
from ml.registry import Registry
from ml.retrain import RetrainDecision, Shown, Signals
from ml.settings import Settings

DECIDED = "decided"


def signals(settings: Settings, declaration: ModelDeclaration) -> Signals:
    """As the ledger and what was last seen say; what was seen of another champion says nothing."""
    ledger, model = Ledger(settings.ledger_url), declaration.name
    champion = ledger.champion(model)
    if champion is None:
        return Signals(promotion.retrained(ledger, model))
    seen = kept(settings, model)
    bundle = Registry(settings.registry).get(model, champion.version)
    return Signals(
        retrained=promotion.retrained(ledger, model),
        champion_until=date.fromisoformat(bundle.receipt["rows"]["last_day"]),
        quality=tuple(_quality(declaration, champion.version, seen.get("quality"))),
        drift=tuple(
            _drift(
                declaration.retrain.drift,
                champion.version,
                seen.get("drift"),
                ledger.history(model, DECIDED),
            )
        ),
    )


def numbers(settings: Settings, model: str) -> Mapping[str, Any]:
    """What a decision is noted with, of what was last seen; the next ones read the share that drifts."""
    seen, told = kept(settings, model), {}  # type: Mapping[str, Any], dict[str, Any]
    if drift := seen.get("drift"):
        told["drift"] = {
            "champion": drift.version,
            "day": str(drift.features.last_day),
            "share": round(drift.features.drifting_share, 6),
            "features": [one.name for one in drift.features.unknown],
        }
    if (found := seen.get("quality")) and found.judged_by:
        told["quality"] = {
            "champion": found.judged_by.version,
            "metric": found.metric,
            "judged_by": found.judged_by.value,
            "recent": [
                {"role": one.role, "value": one.value, "low": one.low, "high": one.high}
                for one in found.recent
            ],
        }
    return told


def note(settings: Settings, model: str, decision: RetrainDecision, edition: int, actor: str) -> Entry:
    """Write a decision with its numbers; the same one over the same edition is written once."""
    ledger = Ledger(settings.ledger_url)
    champion = ledger.champion(model)
    details = {
        "is_due": decision.is_due,
        "day": str(decision.day) if decision.day else None,
        "edition": edition,
        "n_new_days": decision.n_new_days,
        "triggers": canonical.plain(decision.triggers),
        "held_by": list(decision.held_by),
        **numbers(settings, model),
    }
    newest = ledger.newest(model, "registered")
    said = newest.version[:12] if newest else "none"
    with ledger.transaction() as act:
        return act.add(
            DECIDED,
            model,
            champion.version if champion else "",
            reason=("retrain: " if decision.is_due else "no retrain: ") + decision.reason,
            details=details,
            actor=actor,
            once=f"{DECIDED}:{model}:{edition}:{said}:{decision.is_due}",
        )


def _quality(declaration: ModelDeclaration, champion: str, seen: Quality | None) -> Iterator[Shown]:
    policy = declaration.retrain.quality
    if policy is None or seen is None or seen.judged_by is None or seen.judged_by.version != champion:
        return
    for window in seen.windows:
        if window.value is None or window.low is None or window.high is None:
            continue
        told = (
            f"{seen.metric} {window.value:.4f} ({window.low:.4f} to {window.high:.4f}) "
            f"from {window.first_day} to {window.last_day}, {seen.judged_by.value or 0:.4f} when judged"
        )
        yield Shown(window.last_day, seen.fallen(window, policy.max_drop), told)


def _drift(
    policy: DriftTrigger | None, champion: str, seen: Drift | None, noted: Sequence[Entry]
) -> Iterator[Shown]:
    """By day what was noted of this champion, and what is seen now."""
    if policy is None:
        return
    told = [one.details["drift"] for one in noted if one.details.get("drift")]
    found = {
        date.fromisoformat(one["day"]): (one["share"], one["features"])
        for one in told
        if one["champion"] == champion
    }
    if seen and seen.version == champion:
        names = [one.name for one in seen.features.unknown]
        found[seen.features.last_day] = (seen.features.drifting_share, names)
    for day, (share, names) in sorted(found.items()):
        yield Shown(day, share >= policy.min_share, _told(share, names, policy.min_share))


def _told(share: float, names: Sequence[str], limit: float) -> str:
    which = f" ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})" if names else ""  # noqa: PLR2004
    return f"features with {share:.0%} of the gain are not as they were{which}, {limit:.0%} are declared"

"""Whether a candidate may become champion, with every reason in words and numbers.

The ledger is written elsewhere: a decision changes nothing.
"""

from dataclasses import dataclass

from ml.declaration import AgainstChampion, Gate
from ml.evaluation import Comparison, Evaluation
from ml.metrics import metric_of

# Differences of metrics are differences of floats: 0.750 - 0.748 is a little more than 0.002.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Reason:
    """One rule of the gate, met or not, as a sentence with its numbers."""

    is_met: bool
    text: str


@dataclass(frozen=True)
class Decision:
    """Promote or not, with one reason for every rule that was looked at."""

    promote: bool
    reasons: tuple[Reason, ...]

    @property
    def text(self) -> str:
        """What decided: the rules not met, or all when all are met."""
        decisive = [reason.text for reason in self.reasons if reason.is_met == self.promote]
        return "; ".join(decisive)


def decide(evaluation: Evaluation, gate: Gate) -> Decision:
    """Hold an evaluation against the declared gate."""
    reasons = [_floor(evaluation, name, floor) for name, floor in gate.floor.items()]
    reasons.append(_champion(evaluation, gate.against_champion))
    return Decision(all(reason.is_met for reason in reasons), tuple(reasons))


def _floor(evaluation: Evaluation, name: str, floor: float) -> Reason:
    metric = metric_of(evaluation.task, name)
    value = evaluation.metrics[name]
    is_met = metric.shortfall(value, floor) <= _ROUNDING
    if metric.higher_is_better:
        verb, limit = ("reaches" if is_met else "is below"), "floor"
    else:
        verb, limit = ("is within" if is_met else "is above"), "limit"
    value_text, floor_text = _told_apart(value, floor)
    return Reason(is_met, f"{name} {value_text} {verb} the declared {limit} {floor_text}")


def _champion(evaluation: Evaluation, rule: AgainstChampion) -> Reason:
    if evaluation.champion is None:
        return Reason(True, "there is no champion yet to compare with")
    if evaluation.champion == evaluation.version:
        return Reason(True, "it is the champion itself")
    champion = f"the champion {evaluation.champion[:12]}"
    if evaluation.comparison is None:
        done = "promoted" if rule.if_not_comparable == "promote" else "refused"
        return Reason(
            rule.if_not_comparable == "promote",
            f"not comparable with {champion}: {evaluation.not_comparable}; by the declared rule "
            f"if_not_comparable it is {done}",
        )
    return _against(evaluation.task, evaluation.comparison, champion, rule)


def _against(task: str, comparison: Comparison, champion: str, rule: AgainstChampion) -> Reason:
    metric = metric_of(task, rule.metric)
    ours, theirs = comparison.candidate[rule.metric], comparison.champion[rule.metric]
    drop = metric.shortfall(ours, theirs)
    ours_text, theirs_text = _told_apart(ours, theirs)
    drop_text, allowed_text = _told_apart(abs(drop), rule.max_drop)
    distance = f"{drop_text} {'below' if ours < theirs else 'above'}" if drop else "equal to"
    rows = f"on the same {comparison.n_rows:,} rows ({comparison.first_day} to {comparison.last_day})"
    return Reason(
        drop <= rule.max_drop + _ROUNDING,
        f"{rule.metric} {ours_text} is {distance} {champion} {theirs_text} {rows}; "
        f"allowed to be worse by {allowed_text}",
    )


def _told_apart(first: float, second: float) -> tuple[str, str]:
    """Both numbers with three decimals, or as many more (up to nine) as they need to differ."""
    for digits in range(3, 10):
        texts = f"{first:.{digits}f}", f"{second:.{digits}f}"
        if texts[0] != texts[1]:
            return texts
    return f"{first:.3f}", f"{second:.3f}"

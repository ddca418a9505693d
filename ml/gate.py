"""Whether a candidate may become champion, with every reason in words and numbers.

The ledger is written elsewhere: a decision changes nothing.
"""

from dataclasses import dataclass, replace

from ml.declared_gate import AgainstChampion, Gate
from ml.evaluation import Comparison, Evaluation
from ml.metrics import metric_of
from ml.paired import Paired
from ml.parity import Parity
from ml.replay import Replay
from ml.spending import Spending

# Differences of metrics are differences of floats: 0.750 - 0.748 is a little more than 0.002.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Reason:
    """One rule of the gate, met or not, as a sentence with its numbers."""

    is_met: bool
    text: str


@dataclass(frozen=True)
class PairedTest:
    """The paired test beside the champion, in numbers; without a level where the rule asks for no proof."""

    metric: str
    difference: float
    low: float
    high: float
    n_blocks: int
    min_effect: float | None = None
    p_value: float | None = None
    level: float | None = None
    left: float | None = None
    nth: int | None = None


@dataclass(frozen=True)
class Decision:
    """Promote or not, with one reason for every rule that was looked at."""

    promote: bool
    reasons: tuple[Reason, ...]
    test: PairedTest | None = None

    @property
    def is_fit(self) -> bool:
        """Whether the declared floors are reached; the last reason is the one about the champion."""
        return all(reason.is_met for reason in self.reasons[:-1])

    @property
    def text(self) -> str:
        """What decided: the rules not met, or all when all are met."""
        decisive = [reason.text for reason in self.reasons if reason.is_met == self.promote]
        return "; ".join(decisive)


def is_test_due(evaluation: Evaluation, gate: Gate) -> bool:
    """Whether the decision depends on a test, which has its price: all else is met, and it can be made."""
    paired = evaluation.comparison.paired if evaluation.comparison else None
    floors = [_floor(evaluation, name, floor) for name, floor in gate.floor.items()]
    return (
        gate.against_champion.rule == "better"
        and isinstance(paired, Paired)
        and paired.metric == gate.against_champion.metric
        and all(floor.is_met for floor in floors)
    )


def decide(evaluation: Evaluation, gate: Gate, spending: Spending | None = None) -> Decision:
    """Hold an evaluation against the declared gate; `spending` is what a test may spend, where one is due."""
    reasons = [_floor(evaluation, name, floor) for name, floor in gate.floor.items()]
    test = _test(evaluation, gate.against_champion, spending)
    reasons.append(_champion(evaluation, gate.against_champion, test))
    return Decision(all(reason.is_met for reason in reasons), tuple(reasons), test)


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


def _test(evaluation: Evaluation, rule: AgainstChampion, spending: Spending | None) -> PairedTest | None:
    paired = evaluation.comparison.paired if evaluation.comparison else None
    if not isinstance(paired, Paired) or paired.metric != rule.metric:
        return None
    test = PairedTest(paired.metric, paired.difference, *paired.interval, paired.n_blocks)
    if rule.rule != "better" or spending is None:
        return test
    return replace(
        test,
        min_effect=rule.min_effect,
        p_value=paired.p_value(rule.min_effect),
        level=spending.level,
        left=spending.left,
        nth=spending.nth,
    )


def _champion(evaluation: Evaluation, rule: AgainstChampion, test: PairedTest | None) -> Reason:
    if evaluation.champion is None:
        return Reason(True, "there is no champion yet to compare with")
    if evaluation.champion == evaluation.version:
        return Reason(True, "it is the champion itself")
    champion = f"the champion {evaluation.champion[:12]}"
    beside = evaluation.comparison
    if beside is None:
        return _not_comparable(champion, str(evaluation.not_comparable), rule)
    return _beside(evaluation.task, beside, champion, rule, test=test)


def _beside(
    task: str, beside: Comparison, champion: str, rule: AgainstChampion, *, test: PairedTest | None
) -> Reason:
    found = _found(beside, champion, rule)
    if rule.rule == "not_worse":
        return _not_worse(task, beside, found, rule)
    if test is None:
        why = (
            beside.paired if isinstance(beside.paired, str) else f"it was compared by {beside.paired.metric}"
        )
        return _not_comparable(champion, why, rule)
    if test.p_value is None or test.level is None:
        return Reason(False, f"{found}; not put to the test, which would spend, as another rule is not met")
    return _better(test, found, rule, test.p_value, test.level)


def _not_comparable(champion: str, why: str, rule: AgainstChampion) -> Reason:
    is_met = rule.if_not_comparable == "promote"
    done = "promoted" if is_met else "refused"
    return Reason(
        is_met,
        f"not comparable with {champion}: {why}; by the declared rule if_not_comparable it is {done}",
    )


def _found(beside: Comparison, champion: str, rule: AgainstChampion) -> str:
    """Both values on the same rows, as words."""
    name = rule.metric
    ours, theirs = beside.candidate[name], beside.champion[name]
    drop = abs(ours - theirs)
    ours_text, theirs_text = _told_apart(ours, theirs)
    distance = (
        f"{_told_apart(drop, rule.max_drop or rule.min_effect)[0]} {'below' if ours < theirs else 'above'}"
        if drop
        else "equal to"
    )
    rows = f"on the same {beside.n_rows:,} rows ({beside.first_day} to {beside.last_day})"
    return f"{name} {ours_text} is {distance} {champion} {theirs_text} {rows}"


def _not_worse(task: str, beside: Comparison, found: str, rule: AgainstChampion) -> Reason:
    drop = metric_of(task, rule.metric).shortfall(beside.candidate[rule.metric], beside.champion[rule.metric])
    is_met = drop <= rule.max_drop + _ROUNDING
    return Reason(is_met, f"{found}; allowed to be worse by {_told_apart(rule.max_drop, abs(drop))[0]}")


def _better(test: PairedTest, found: str, rule: AgainstChampion, p_value: float, level: float) -> Reason:
    is_met = p_value <= level
    by_days = (
        f"over {test.n_blocks} blocks of days it is better by {test.difference:.4f} "
        f"(95 % interval {test.low:.4f} to {test.high:.4f})"
    )
    sign = "≤" if is_met else ">"
    told = (
        f"{'proven' if is_met else 'not proven'} to be better by more than {rule.min_effect:g}: "
        f"p {p_value:.2g} {sign} {level:.2g}"
    )
    spent = f"test {test.nth} within a year, {test.left:.4f} of {rule.yearly_alpha:g} left"
    return Reason(is_met, f"{found}; {by_days}, {told} ({spent})")


def _told_apart(first: float, second: float) -> tuple[str, str]:
    """Both numbers with three decimals, or as many more (up to nine) as they need to differ."""
    for digits in range(3, 10):
        texts = f"{first:.{digits}f}", f"{second:.{digits}f}"
        if texts[0] != texts[1]:
            return texts
    return f"{first:.3f}", f"{second:.3f}"


def with_parity(decision: Decision, proven: Parity) -> Decision:
    """The decision after the candidate's Bento was asked: what differs refuses it, whatever else is met."""
    if proven.is_proven:
        return decision
    failed = Reason(False, f"the endpoint does not answer as offline: {proven.text}")
    return replace(decision, promote=False, reasons=(failed, *decision.reasons))


def with_replay(decision: Decision, replay: Replay) -> Decision:
    """The decision after the last requests were asked of it again: what is beyond the budget refuses it."""
    reason = Reason(replay.is_within, f"replay of the last requests: {replay.text}")
    if replay.is_within:
        return replace(decision, reasons=(reason, *decision.reasons))
    return replace(decision, promote=False, reasons=(reason, *decision.reasons))

"""Whether a model is due to be trained again, by its declared policy: what calls for it, what holds it back.

Pure: what days there are, what was trained before, and what quality and drift showed is told to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ml.declaration import ModelDeclaration
from ml.declared_retrain import Retrain
from ml.errors import EmptySplit
from ml.split import split_days


@dataclass(frozen=True)
class Shown:
    """What a signal showed on one day of the data, and how it is told."""

    day: date
    is_raised: bool
    text: str


@dataclass(frozen=True)
class Signals:
    """What else a decision rests on.

    `retrained` has for each candidate so far the newest labelled day there was; `champion_until` is the last
    day the champion was trained on. What quality and drift showed is by day, oldest first, one of a day.
    """

    retrained: tuple[date, ...] = ()
    champion_until: date | None = None
    quality: tuple[Shown, ...] = ()
    drift: tuple[Shown, ...] = ()


@dataclass(frozen=True)
class Trigger:
    """One of the declared reasons to retrain, and whether it calls for it now."""

    name: str
    calls: bool
    text: str


@dataclass(frozen=True)
class RetrainDecision:
    """Due or not, with each declared reason and with what holds back a retrain that is called for."""

    is_due: bool
    n_new_days: int
    reason: str
    day: date | None = None
    triggers: tuple[Trigger, ...] = ()
    held_by: tuple[str, ...] = ()


def decide(
    declaration: ModelDeclaration,
    labelled: Sequence[date],
    trained_until: date | None,
    signals: Signals | None = None,
) -> RetrainDecision:
    """Decide on the newest labelled day.

    `trained_until` is the last training day of the newest candidate, promoted or refused (a refused one is
    not tried again on nearly the same rows every day); None when there was none.
    """
    try:
        span, _ = split_days(declaration.name, declaration.split, labelled)
    except EmptySplit as empty:
        return RetrainDecision(False, 0, f"not enough labelled days: {empty}")
    n_new = sum(
        1 for day in labelled if span.first_day <= day <= span.last_day and _is_new(day, trained_until)
    )
    today = max(labelled)
    if trained_until is None:
        told = f"no candidate was trained yet; there are {n_new} days to train on"
        return RetrainDecision(True, n_new, told, today)
    policy, known = declaration.retrain, signals or Signals()
    triggers = (
        *_seen(policy, known),
        *_counted(policy, span.last_day, trained_until, n_new),
        *_aged(policy, known, today),
    )
    calling = [one.text for one in triggers if one.calls]
    if not calling:
        return RetrainDecision(False, n_new, "; ".join(one.text for one in triggers), today, triggers)
    held = tuple(_held(policy, known, today, n_new))
    reason = "; ".join(calling) + (f"; held back: {'; '.join(held)}" if held else "")
    return RetrainDecision(not held, n_new, reason, today, triggers, held)


def _seen(policy: Retrain, known: Signals) -> Iterator[Trigger]:
    if policy.quality:
        yield _in_a_row("quality", known.quality, policy.quality.for_days)
    if policy.drift:
        yield _in_a_row("drift", known.drift, policy.drift.for_days)


def _counted(policy: Retrain, reach: date, trained_until: date, n_new: int) -> Iterator[Trigger]:
    if wanted := policy.after_new_days:
        is_due = n_new >= wanted
        yield Trigger(
            "new_days",
            is_due,
            f"training days now reach {reach}; the newest candidate was trained until {trained_until}: "
            f"{n_new} new day{'' if n_new == 1 else 's'}, "
            f"{'at least' if is_due else 'fewer than'} the declared {wanted}",
        )


def _aged(policy: Retrain, known: Signals, today: date) -> Iterator[Trigger]:
    if policy.max_age_days and known.champion_until:
        age = (today - known.champion_until).days
        is_due = age >= policy.max_age_days
        sign = "at least" if is_due else "fewer than"
        told = f"the champion was trained until {age} days ago, {sign} the declared {policy.max_age_days}"
        yield Trigger("age", is_due, told)


def _in_a_row(name: str, shown: Sequence[Shown], for_days: int) -> Trigger:
    """Raised on each of the newest days: one day more or less says nothing."""
    if not shown:
        return Trigger(name, False, f"{name} is not known yet")
    raised = 0
    for one in reversed(shown):
        if not one.is_raised:
            break
        raised += 1
    newest = shown[-1]
    if raised >= for_days:
        return Trigger(name, True, f"{name}: {newest.text}, for {raised} days in a row")
    said = f", for {raised} of {for_days} days in a row" if raised else ""
    return Trigger(name, False, f"{name}: {newest.text}{said}")


def _held(policy: Retrain, known: Signals, today: date, n_new: int) -> Iterator[str]:
    if n_new < policy.min_new_days:
        yield f"training would gain {n_new} days, fewer than the declared {policy.min_new_days}"
    newest = max(known.retrained, default=None)
    if newest and policy.cool_down_days and (left := policy.cool_down_days - (today - newest).days) > 0:
        yield f"the last retrain was on data until {newest}, {left} days of cool-down are left"
    if policy.budget:
        since = today - timedelta(days=policy.budget.within_days)
        spent = sum(day > since for day in known.retrained)
        if spent >= policy.budget.retrains:
            within = f"{policy.budget.retrains} retrains within {policy.budget.within_days} days"
            yield f"the budget of {within} is spent"


def _is_new(day: date, trained_until: date | None) -> bool:
    return trained_until is None or day > trained_until

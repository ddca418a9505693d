"""Whether a model is due to be trained again, by its declared policy.

Pure: what days there are and what was trained on before is told to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ml.declaration import ModelDeclaration
from ml.errors import EmptySplit
from ml.split import split_days


@dataclass(frozen=True)
class RetrainDecision:
    """Due or not, the number it rests on, and the reason in words."""

    is_due: bool
    n_new_days: int
    reason: str


def decide(
    declaration: ModelDeclaration, labelled: Sequence[date], trained_until: date | None
) -> RetrainDecision:
    """Count the days that training now would add after `trained_until`.

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
    wanted = declaration.retrain.after_new_days
    if trained_until is None:
        return RetrainDecision(
            True, n_new, f"no candidate was trained yet; there are {n_new} days to train on"
        )
    is_due = n_new >= wanted
    return RetrainDecision(
        is_due,
        n_new,
        f"training days now reach {span.last_day}; the newest candidate was trained until {trained_until}: "
        f"{n_new} new days, {'at least' if is_due else 'fewer than'} the declared {wanted}",
    )


def _is_new(day: date, trained_until: date | None) -> bool:
    return trained_until is None or day > trained_until

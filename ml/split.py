"""Which labelled days are trained on and which tested on.

Pure: rows are read elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ml.declaration import Split
from ml.errors import EmptySplit


@dataclass(frozen=True)
class Span:
    """Days from `first_day` to `last_day`, both included."""

    first_day: date
    last_day: date


def split_days(model: str, split: Split, labelled: Sequence[date]) -> tuple[Span, Span]:
    """Days to train on and to test on, of the labelled days; raises EmptySplit when either has none."""
    days = sorted(labelled)
    if split.holdout_days is not None:
        train, test = days[: -split.holdout_days], days[-split.holdout_days :]
    else:
        assert split.train_until and split.test_from  # noqa: S101 the declaration has checked it
        train = [d for d in days if (split.train_from or date.min) <= d <= split.train_until]
        test = [d for d in days if split.test_from <= d <= (split.test_until or date.max)]
    for name, part in (("train", train), ("test", test)):
        if not part:
            rule = ", ".join(f"{k} {v}" for k, v in split.model_dump(exclude_none=True).items())
            of = f"{len(days)} labelled days ({days[0]} to {days[-1]})" if days else "no labelled day at all"
            raise EmptySplit(model, name, rule, of)
    return Span(train[0], train[-1]), Span(test[0], test[-1])

"""From when on online tables hold all that a plan looks back to; older questions may find less than offline.

Which questions are asked is not decided here.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlglot import exp

from ml.online_plan.kinds import MICROSECONDS
from ml.online_plan.plan import Plan


def covered_from(plan: Plan, oldest: Mapping[str, datetime | None]) -> datetime | None:
    """The first time whose lookups find all there is, given the oldest time of knowledge in each table.

    None when nothing is looked up, or a table is empty. A lookup without a bound finds the newest row however
    old: its table is taken to be whole.
    """
    found = []
    for lookup in plan.lookups:
        first = oldest.get(lookup.table)
        if first is None:
            return None
        found.append(first + _back(lookup.since))
    return max(found, default=None)


def _back(since: exp.Expr | None) -> timedelta:
    """How far back a lookup's lower bound lies behind the time asked about."""
    back = 0
    for interval in since.find_all(exp.Interval) if since is not None else ():
        unit = interval.args["unit"].name.lower().rstrip("s")
        back += int(interval.this.this) * MICROSECONDS[unit]
    return timedelta(microseconds=back)

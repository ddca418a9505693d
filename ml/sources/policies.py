"""What a source declares to be done when its files change: columns, categories, units.

How a change is found does not belong here.
"""

import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Categories(_Declared):
    """Columns whose values are a set that seldom changes, and what a value never seen before does.

    `warn` tells of it once and takes the row; `quarantine` keeps the row out; `fail` refuses the file. The
    first `after_days` days teach which values there are; `known` adds values by column. A value of every one
    of the preceding days that is gone is told, and nothing else happens.
    """

    columns: tuple[str, ...] = Field(min_length=1)
    new: Literal["warn", "quarantine", "fail"]
    known: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    after_days: int = Field(default=28, ge=1)


class Units(_Declared):
    """Numeric columns whose distribution tells a change of units.

    A day is compared with the last `window_days` days before it that raw holds, so a refused day is none of
    them; with fewer than half of them nothing is told. Its units count as changed when its quantiles lie more
    than `times` as far from those days' usual ones as the farthest of those days. Days before `since` are not
    compared with: name the first day in the new units there when a change is meant.
    """

    columns: tuple[str, ...] = Field(min_length=1)
    changed: Literal["warn", "fail"]
    times: float = Field(default=3.0, gt=1)
    window_days: int = Field(default=28, ge=3)
    since: datetime.date | None = None


class Drift(_Declared):
    """What happens when a file is not what the days before were; each kind of change has its own policy.

    `new_columns: warn` leaves a column aside that is not declared. `missing_columns: warn` reads a nullable
    column as having no values; one that must have values always refuses the file. `reordered_columns: warn`
    reads columns by name. `retyped_columns: quarantine` treats values of another type as any bad value, even
    when they are most of the column.
    """

    new_columns: Literal["warn", "fail"] = "fail"
    missing_columns: Literal["warn", "fail"] = "fail"
    reordered_columns: Literal["warn", "fail"] = "warn"
    retyped_columns: Literal["quarantine", "fail"] = "fail"
    categories: Categories | None = None
    units: Units | None = None

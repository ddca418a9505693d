"""What compiled feature SQL calls while it runs, where Python's own operators are not what DuckDB computes.

Each is held to DuckDB's answers by a test over awkward values. No syntax trees here.
"""

import math
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

import duckdb

from ml.online_plan.kinds import DAY, microseconds

_QUARTER = 15 * 60 * 1_000_000
_FIRST_QUARTERLY = microseconds(datetime(1973, 1, 1))  # before it zones changed at any second
_MOST_OFFSETS = 100_000
_OFFSETS: dict[tuple[str, int], int] = {}
_INT64 = 2**63
_ZONES = threading.Lock()
_ASKED = """
select
    place,
    epoch_us(timezone($zone, timezone('UTC', make_timestamp($first + place * $step))))
        - ($first + place * $step)
from range($n) as places (place)
"""


def divided(a: float, b: float) -> float:
    """`/` where the divisor is zero, as IEEE 754 says."""
    if b:
        return a / b
    if not a or a != a:  # noqa: PLR0124  NaN
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def int_divided(a: int, b: int) -> int | None:
    """`//` of integers: towards zero; by zero null."""
    if not b:
        return None
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def remainder(a: int, b: int) -> int | None:
    """`%` of integers: with the sign of the dividend; by zero null."""
    if not b:
        return None
    found = abs(a) % abs(b)
    return -found if a < 0 else found


def float_remainder(a: float, b: float) -> float | None:
    """`%` of floats."""
    return math.fmod(a, b) if b and not math.isinf(a) else (math.nan if b else None)


def is_equal(a: float, b: float) -> bool:
    """DuckDB's NaN equals itself."""
    return a == b or (a != a and b != b)  # noqa: PLR0124


def is_less(a: float, b: float) -> bool:
    """DuckDB's NaN is greater than any number."""
    return a < b or (b != b and a == a)  # noqa: PLR0124


def greatest(*given: Any) -> Any:
    """The greatest that is not null; NaN is the greatest of numbers."""
    found = None
    for one in given:
        if one is not None and (found is None or is_less(found, one)):
            found = one
    return found


def least(*given: Any) -> Any:
    """The least that is not null."""
    found = None
    for one in given:
        if one is not None and (found is None or is_less(one, found)):
            found = one
    return found


def whole(value: float) -> int:
    """A float as integer, halves to the even one; raises ValueError or OverflowError as DuckDB refuses."""
    found = round(value)
    if not -_INT64 <= found < _INT64:
        raise OverflowError(f"{value} is no 64-bit integer")
    return found


def whole_of_decimal(value: Decimal) -> int:
    """A decimal as integer, halves away from zero."""
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def rounded(value: float) -> float:
    """`round(x)`: halves away from zero."""
    if not math.isfinite(value):
        return value
    found = math.floor(abs(value))
    return math.copysign(found + (abs(value) - found >= 0.5), value)  # noqa: PLR2004


def floored(value: float) -> float:
    """`floor(x)` as a float."""
    return math.copysign(math.floor(value), value) if math.isfinite(value) else value


def ceiled(value: float) -> float:
    """`ceil(x)` as a float."""
    return math.copysign(math.ceil(value), value) if math.isfinite(value) else value


def square_root(value: float) -> float:
    """Raises ValueError below zero, as DuckDB refuses."""
    return math.sqrt(value)


def utc_offset(zone: str, at: int) -> int:
    """Microseconds that clocks in a zone were ahead of UTC at an instant; raises KeyError for no zone."""
    place = (zone, at // _QUARTER if at >= _FIRST_QUARTERLY else -at)
    found = _OFFSETS.get(place)
    if found is None:
        if len(_OFFSETS) >= _MOST_OFFSETS:
            _OFFSETS.clear()
        _OFFSETS.update(_offsets(zone, at))
        found = _OFFSETS[place]
    return found


def local(zone: str, at: int) -> int:
    """What a clock in the zone shows at an instant."""
    return at + utc_offset(zone, at)


def part(name: str, at: int) -> int:
    """A part of a timestamp that hangs on the calendar."""
    return int(_CALENDAR[name](datetime.fromtimestamp(at // 1_000_000, UTC)))


def text_at(form: str, at: int) -> str:
    """`strftime`; the directives are those of `STRFTIME`."""
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    return moment.strftime(form) if moment.year >= 1000 else _early(form, moment)  # noqa: PLR2004


STRFTIME = frozenset("YmdHMSj%")  # what Python and DuckDB write alike
_CALENDAR: Mapping[str, Any] = {
    "year": lambda at: at.year,
    "month": lambda at: at.month,
    "day": lambda at: at.day,
    "quarter": lambda at: (at.month + 2) // 3,
    "doy": lambda at: at.timetuple().tm_yday,
    "dayofyear": lambda at: at.timetuple().tm_yday,
    "week": lambda at: at.isocalendar().week,
    "isoyear": lambda at: at.isocalendar().year,
}
CALENDAR = frozenset(_CALENDAR)
# Parts that follow from a timestamp by division.
CLOCK: Mapping[str, str] = {
    "hour": "{} // 3600000000 % 24",
    "minute": "{} // 60000000 % 60",
    "second": "{} // 1000000 % 60",
    "isodow": f"({{}} // {DAY} + 3) % 7 + 1",
    "dow": f"({{}} // {DAY} + 4) % 7",
    "dayofweek": f"({{}} // {DAY} + 4) % 7",
    "epoch": "{} / 1000000",
}


def _offsets(zone: str, at: int) -> dict[tuple[str, int], int]:
    """Offsets by quarter of an hour over an instant's day; before 1973 of the instant alone.

    Asked of DuckDB: zones of the machine, or of a package, are of another year than those it carries.
    """
    first, n, step = at // DAY * DAY, DAY // _QUARTER, _QUARTER
    if at < _FIRST_QUARTERLY:
        first, n, step = at, 1, 0
    with _ZONES:
        cursor = _clocks().cursor()
        try:
            found = cursor.execute(_ASKED, {"zone": zone, "first": first, "step": step, "n": n}).fetchall()
        except duckdb.Error as refusal:
            raise KeyError(zone) from refusal
    if step:
        return {(zone, (first + place * step) // _QUARTER): offset for place, offset in found}
    return {(zone, -at): found[0][1]}


@cache
def _clocks() -> Any:
    con = duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": "false"})
    con.execute("set global TimeZone = 'UTC'")
    return con


def _early(form: str, moment: datetime) -> str:
    """Python does not pad years to four digits on every platform."""
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))


# What compiled source may name.
NAMES: Mapping[str, Any] = {
    one.__name__: one
    for one in (
        divided,
        int_divided,
        remainder,
        float_remainder,
        is_equal,
        is_less,
        greatest,
        least,
        whole,
        whole_of_decimal,
        rounded,
        floored,
        ceiled,
        square_root,
        local,
        part,
        text_at,
    )
} | {"log": math.log, "exp": math.exp, "Decimal": Decimal}

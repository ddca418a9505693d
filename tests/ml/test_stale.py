"""Which days are stale after files came: those that read them, and no others."""

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from ml.computed import Build
from ml.stale import Traces, stale_tables, unsettled
from ml.tables import Table, raw_name

FIRST = date(2020, 1, 1)
# A file of a day holds rows of up to a week ahead, which a second table looks back on by one day.
AHEAD = Table("ahead", (raw_name("files"),), "a", "", is_daily=True, lookback_days=7, reach_days=7)
BACK = Table("back", ("ahead",), "b", "", is_daily=True, lookback_days=1, reach_days=8)
WHOLE = Table("whole", ("back",), "w", "", is_daily=False)
TABLES = {table.name: table for table in (AHEAD, BACK, WHOLE)}


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def built(days: range) -> Traces:
    """A register as day after day leaves it: each build writes its day, and what it sees of those ahead."""
    traces = Traces(TABLES.values(), {})
    for n in days:
        mark = traces.next_mark
        traces.put((raw_name("files"), day(n)), Build(data=f"file {n}", changed_at=mark))
        for table in (AHEAD, BACK):
            for ahead in range(1, table.reach_days + 1):
                traces.put((table.name, day(n + ahead)), Build(data=f"{n}", changed_at=mark))
            traces.put(
                (table.name, day(n)),
                Build(table.code, table.checks, f"{n}", built_at=mark, changed_at=mark),
            )
        traces.put(("whole", None), Build(WHOLE.code, WHOLE.checks, "", built_at=mark, changed_at=mark))
    return traces


def changed(traces: Traces, n: int) -> Mapping[str, list[date | None]]:
    """Stale days by table once the file of a day is another one."""
    mark = traces.next_mark
    traces.put((raw_name("files"), day(n)), Build(data="corrected", changed_at=mark))
    return {name: list(traces.stale(name, [day(one) for one in range(20)])) for name in TABLES}


def test_day_after_day_leaves_nothing_stale() -> None:
    traces = built(range(20))
    days = [day(n) for n in range(20)]
    assert stale_tables(TABLES.values(), traces.builds, days) == (set(), set())
    assert not any(unsettled(traces, days).values())


def test_a_new_file_makes_its_day_stale_and_none_before() -> None:
    assert changed(built(range(19)), 19)["ahead"] == [day(19)]


@pytest.mark.parametrize("n", [0, 5, 11])
def test_a_corrected_file_makes_the_days_stale_that_read_it(n: int) -> None:
    stale = changed(built(range(20)), n)
    assert stale["ahead"] == [day(one) for one in range(n, n + 8)]
    assert stale["back"] == stale["whole"] == []  # as long as the first table's rows stay as they were


def test_the_last_day_of_a_run_stands_for_the_days_it_writes_ahead() -> None:
    traces = built(range(20))
    mark = traces.next_mark
    traces.put(("ahead", day(22)), Build(data="other", changed_at=mark))
    assert list(traces.stale("back", [day(18), day(19)])) == [day(19)]


def test_days_made_from_stale_ones_are_not_settled() -> None:
    traces = built(range(20))
    changed(traces, 5)
    late = unsettled(traces, [day(n) for n in range(20)])
    assert late["back"] == {day(n) for n in range(5, 14)}
    assert late["whole"] == {None}

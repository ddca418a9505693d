"""What is certified of a step's tables when they are published: their checks, and the code that made them.

How certificates are kept, and what is refused without them, is `ml.lake`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import dagster as dg

from assets.components.table_builds import StepBuilds
from assets.dbt_runner import NodeResult
from ml.calendars import Calendar, ranges
from ml.errors import NothingPublished
from ml.lake.published import Certificate, Published, Renewal


def certificates(
    published: Published,
    builds: StepBuilds,
    tables: Mapping[str, dg.AssetKey],
    checks: Mapping[str, dg.AssetCheckSpec],
    results: Sequence[NodeResult],
) -> dict[str, Certificate]:
    """By table, its blocking checks and those that passed just now, whichever of them the run selected."""
    passed = {result.unique_id for result in results if result.status == "pass"}
    whole, settled = published.codes(), None
    made = {}
    for name, key in tables.items():
        blocking = {id_: spec for id_, spec in checks.items() if spec.blocking and spec.asset_key == key}
        code = builds.lineage(name)
        if whole.get(name) != code:  # rows of other code may be among those that these were made from
            settled = builds.settled(builds.read_days(), builds.own) if settled is None else settled
            code = code if name in settled else ""
        made[name] = Certificate(
            run=builds.run,
            required=tuple(spec.name for spec in blocking.values()),
            passed=tuple(spec.name for id_, spec in blocking.items() if id_ in passed),
            data_version=builds.version(name),
            code=code,
        )
    return made


def renew(published: Published, builds: StepBuilds, calendars: Iterable[Calendar]) -> None:
    """Note of published tables that all their rows are what the code makes, as soon as nothing is stale.

    A build whose rows came out the same left what is made from them as it was, and this is true of that too.
    """
    try:
        names = published.edition().snapshots.keys() & builds.code.tables.keys()
    except NothingPublished:
        return
    whole = published.codes()
    other = {name for name in names if whole.get(name) != builds.lineage(name)}
    files = builds.computed.files() if other else {}
    for calendar in calendars if other else ():
        days = calendar.computed(files)
        own = {*calendar.tables, *calendar.reference_tables}
        for name in sorted(other & builds.settled(days, own)):
            by_day = builds.code.tables[name].is_daily
            found = tuple(ranges(days, calendar.every)) if by_day else ((date.min, date.max),)
            if found:
                published.renew(Renewal(name, builds.lineage(name), found))

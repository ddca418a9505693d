"""The leakage audit as a blocking check of every table by day of features, labels or published rows.

How leaks are found is `ml.proofs.leakage`'s.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg

import assets.compiled_tables as compiling  # whole: that module reads this package
from assets.dbt_runner import DbtRunner, NodeResult
from ml.calendars import Calendar
from ml.errors import HeadwaterError
from ml.lake.workshop import Workshop
from ml.proofs.cutoffs import Sample
from ml.proofs.leakage import Audit, audit
from ml.proofs.rebuild import held

NAME = "leakage"
DESCRIPTION = (
    "The rows that were due by sampled cutoffs are the same to the bit when raw rows known only later are "
    "removed, and when they are scrambled."
)
# A cutoff costs about 4 CPU-seconds: one for new days; for a range of more than a month one more for the days
# on which clocks change, and one for what was known late.
_MANY_DAYS, _FEW_CUTOFFS, _MANY_CUTOFFS = 31, 1, 3


def leakage_checks(specs: Mapping[str, dg.AssetSpec], runner: DbtRunner) -> dict[str, dg.AssetCheckSpec]:
    """A check by the id of its result, for each of the tables by day that are audited."""
    return {
        _result_id(unique_id): dg.AssetCheckSpec(
            NAME, asset=specs[unique_id].key, blocking=True, description=DESCRIPTION
        )
        for unique_id in compiling.audited_tables(runner)
        if unique_id in specs and specs[unique_id].partitions_def
    }


def leakage_results(
    runner: DbtRunner, built: Sequence[str], calendar: Calendar, first_day: str, last_day: str
) -> Iterator[NodeResult]:
    """Audit the tables `built` (ids) for these days, one result each; the caller has the workshop's turn.

    No connection to the workshop may be open.
    """
    began = time.monotonic()
    relations = {id_: relation for id_, relation in compiling.audited_tables(runner).items() if id_ in built}
    if not relations:
        return
    try:
        days = date.fromisoformat(first_day), date.fromisoformat(last_day)
        found = _audited(runner, tuple(relations.values()), calendar, *days)
    except HeadwaterError as error:
        seconds = time.monotonic() - began
        for unique_id in relations:
            yield NodeResult(_result_id(unique_id), "error", seconds, str(error), None)
        return
    seconds = (time.monotonic() - began) / len(relations)
    for unique_id, relation in relations.items():
        yield _result(unique_id, found.of(relation), seconds)


def _audited(
    runner: DbtRunner, relations: tuple[str, ...], calendar: Calendar, first: date, last: date
) -> Audit:
    n = _MANY_CUTOFFS if (last - first).days >= _MANY_DAYS else _FEW_CUTOFFS
    sample = Sample(n, first.toordinal(), first, last, runner.zones())
    with held(Workshop(runner.settings)) as snapshot:
        return audit(compiling.audit_plan(runner, snapshot, calendar, relations), sample)


def _result(unique_id: str, found: Audit, seconds: float) -> NodeResult:
    n = sum(found.compared.values())
    message = f"{n} due rows are the same at {', '.join(map(str, found.cutoffs)) or 'no cutoff'}"
    try:
        found.raise_failed()
    except HeadwaterError as error:
        message = str(error).removesuffix(".")
    # Rows that stand otherwise than raw would give them wait for a day that is not computed yet: no leak.
    status = "fail" if found.leaks else "pass"
    return NodeResult(_result_id(unique_id), status, seconds, message, len(found.leaks))


def _result_id(unique_id: str) -> str:
    """As dbt names results: kind, project, name."""
    _, project, name = unique_id.split(".", 2)
    return f"{NAME}.{project}.{name}"

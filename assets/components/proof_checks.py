"""The proofs that take a rebuild of the tables as checks, which the job `proofs` runs every night.

How tables are proved is `assets.table_proofs`'; when the job runs is `assets.automation`'s.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import dagster as dg

from assets.dbt_runner import DbtRunner
from assets.keys import ANSWERS
from assets.table_code import project_code
from assets.table_proofs import PROOFS, Moment, Proved, moment
from ml.errors import HeadwaterError
from ml.lake.published import Verdict
from ml.tables import Table, ancestors


def proof_checks(specs: Mapping[str, dg.AssetSpec], runner: DbtRunner) -> list[dg.AssetChecksDefinition]:
    """One step for each proof, over the tables (id of its node: its asset) that hold rows."""
    nodes = runner.manifest["nodes"]
    held = {
        nodes[id_]["name"]: spec
        for id_, spec in specs.items()
        if nodes[id_]["config"].get("materialized") not in {"view", "seed"}
    }
    return [_step(proof, told, held, runner) for proof, told in PROOFS.items()]


def is_proof(check: dg.AssetCheckKey) -> bool:
    """Whether a check is the nightly job's: it takes a rebuild of the tables, or the answers of a day."""
    return check.name in PROOFS or check.name == ANSWERS


def _step(
    proof: str, told: str, specs: Mapping[str, dg.AssetSpec], runner: DbtRunner
) -> dg.AssetChecksDefinition:
    """All tables' checks in one step; it blocks by taking their certificates away.

    A check that Dagster itself holds to be blocking would split the step that builds the tables into as many.
    """
    checks = [dg.AssetCheckSpec(proof, asset=spec.key, description=told) for spec in specs.values()]

    @dg.multi_asset_check(name=proof, specs=checks, can_subset=True)
    def prove(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        if context.run.asset_selection:
            return  # a run that makes assets selects their checks too; a rebuild is not for every run
        keys = {key.asset_key.path[-1]: key for key in sorted(context.selected_asset_check_keys)}
        try:
            with moment(runner) as now:
                proved = now.prove(proof, keys)
        except HeadwaterError as error:
            yield from (_failed(key, str(error)) for key in keys.values())
            raise
        is_whole = keys.keys() == specs.keys()
        _judge(now, proved, project_code(runner).tables, context.run.run_id, is_whole=is_whole)
        yield from (_result(key, name, proved) for name, key in keys.items())
        proved.raise_failed()

    return prove


def _result(key: dg.AssetCheckKey, table: str, proved: Proved) -> dg.AssetCheckResult:
    """Failed by a fault; a warning where nothing is wrong, and something was stale and so not judged."""
    faults, stale = proved.faults.get(table, ()), proved.stale.get(table, "")
    if faults:
        return _failed(key, "\n".join(fault.told for fault in faults))
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        description=stale or f"Looked at: {proved.days}.",
        metadata={"days": proved.days},
    )


def _failed(key: dg.AssetCheckKey, told: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=told,
    )


def _judge(now: Moment, proved: Proved, tables: Mapping[str, Table], run: str, *, is_whole: bool) -> None:
    """Take the certificates away of what failed, and of all that is made from it; give back what passed now.

    Where anything was stale, or not asked for, nothing is given back: not all that failed was looked at.
    """
    published = now.published
    for name in now.edition.snapshots if now.edition else ():
        lineage = {name, *ancestors(tables, name)}
        failed = Verdict(name, proved.proof, False, run)
        for fault in proved.faults.get(name, ()):
            days = {"first_day": fault.days[0], "last_day": fault.days[-1]} if fault.days else {}
            published.judge(replace(failed, **days), now.edition)
        if lineage - {name} & proved.faults.keys():
            published.judge(failed, now.edition)
        is_clean = is_whole and not lineage & (proved.faults.keys() | proved.stale.keys())
        if is_clean and name in published.failed(proved.proof):
            published.judge(replace(failed, is_passed=True), now.edition)

"""The blocking check `deterministic_sql` of every table: its SQL gives the same rows each time.

What the linter looks for is `ml.proofs.sql_lint`'s; here its findings become results of a run.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import dagster as dg
import duckdb
import sqlglot

from assets.dbt_runner import DbtRunner, NodeResult
from assets.table_code import project_code
from ml import proofs
from ml.canonical import digest
from ml.proofs.relations import Relation, relations_of
from ml.proofs.sql_lint import lint
from ml.proofs.sql_rules import Finding
from ml.sources.catalogue import declared_sources
from ml.tables import Table, raw_name

NAME = "deterministic_sql"
DESCRIPTION = "The compiled SQL gives the same rows, to the bit, from the same rows, each time."


def sql_checks(specs: Mapping[str, dg.AssetSpec]) -> dict[str, dg.AssetCheckSpec]:
    """A check by the id of its result, for each table that is made by SQL."""
    return {
        _result_id(unique_id): dg.AssetCheckSpec(NAME, asset=spec.key, blocking=True, description=DESCRIPTION)
        for unique_id, spec in specs.items()
        if unique_id.startswith("model.")
    }


def sql_results(runner: DbtRunner, built: Iterable[str]) -> Iterator[NodeResult]:
    """Look at the SQL that the tables `built` (ids) were just built by, one result each."""
    wanted = [unique_id for unique_id in built if unique_id.startswith("model.")]
    if not wanted:
        return
    known = relations_of(runner.manifest, declared_sources(runner.settings.project))
    tables = project_code(runner).tables
    for unique_id in wanted:
        began = time.monotonic()
        told = _found(runner, unique_id, tables[unique_id.rpartition(".")[2]], known)
        message = "\n".join(told) or "nothing in it differs from run to run"
        seconds = time.monotonic() - began
        yield NodeResult(_result_id(unique_id), "fail" if told else "pass", seconds, message, len(told))


def findings(runner: DbtRunner) -> Iterator[Finding]:
    """What the linter finds in the SQL of all tables, compiled for a day, without a workshop."""
    known = relations_of(runner.manifest, declared_sources(runner.settings.project))
    days = {"start_day": "2000-01-01", "end_day": "2000-01-01"}
    sql = runner.compiled_apart("resource_type:model", "--indirect-selection", "empty", **days)
    for unique_id, text in sql.items():
        yield from lint(unique_id.rpartition(".")[2], text, known)


def _found(runner: DbtRunner, unique_id: str, table: Table, known: tuple[Relation, ...]) -> list[str]:
    """The findings as text, looked for once for each code: SQL of other days differs in literals only."""
    read = [one for one in known if one.name in table.parents or _raw_of(one) in table.parents]
    of = digest(repr((table.name, table.code, sorted(map(_described, read)), _linter())))
    kept = runner.target / "linted" / f"{table.name}.json"
    if kept.exists():
        told = json.loads(kept.read_text())
        if told["of"] == of:
            return list(told["found"])
    node, project = runner.manifest["nodes"][unique_id], runner.manifest["metadata"]["project_name"]
    sql = (runner.target / "compiled" / project / node["original_file_path"]).read_text()
    found = [str(finding) for finding in lint(table.name, sql, known)]
    kept.parent.mkdir(exist_ok=True)
    part = kept.with_suffix(".part")
    part.write_text(json.dumps({"of": of, "found": found}))
    part.replace(kept)
    return found


def _raw_of(relation: Relation) -> str:
    return raw_name(relation.name.removesuffix("_current")) if relation.schema == "raw" else ""


def _described(relation: Relation) -> str:
    """A relation in words that are the same in every process; a set has no order."""
    keys = sorted(map(sorted, relation.keys))
    return repr((relation.schema, relation.name, sorted(relation.types.items()), keys))


@cache
def _linter() -> str:
    """What the linter itself is: its own code, and the libraries that it reads SQL with."""
    code = [file.read_bytes() for file in sorted(Path(proofs.__path__[0]).glob("*.py"))]
    return f"{digest(b''.join(code))} {sqlglot.__version__} {duckdb.__version__}"


def _result_id(unique_id: str) -> str:
    """As dbt names results: kind, project, name."""
    _, project, name = unique_id.split(".", 2)
    return f"{NAME}.{project}.{name}"

"""Column lineage as Dagster shows it, kept by the table's code: tracing costs seconds for a wide table.

How it is found is `ml.column_lineage`'s.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from ml.canonical import digest
from ml.column_lineage import Types, traced


def column_lineage(
    sql: str, code: str, parents: Mapping[str, tuple[dg.AssetKey, Types]], cache: Path
) -> dg.TableColumnLineage:
    """Trace every output column of `sql` to the columns of `parents` (relation name -> key, column types).

    `code` names the SQL apart from the days it was compiled for.
    """
    types = sorted((name, sorted(types.items())) for name, (_, types) in parents.items())
    kept = cache / f"{digest(repr((code, types)))}.json"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(traced(sql, {name: types for name, (_, types) in parents.items()})))
    deps = {
        name: [dg.TableColumnDep(parents[relation][0], column) for relation, column in origins]
        for name, origins in json.loads(kept.read_text()).items()
    }
    return dg.TableColumnLineage(deps_by_column=deps)

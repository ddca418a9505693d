"""Loads everything that is declared: dbt parses without a warning, all SQL repeats, the definitions resolve.

What the graph must look like is a test's matter.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import dagster as dg

from assets.components.sql_check import findings
from assets.dbt_runner import DbtRunner
from assets.definitions import build
from ml.errors import SqlNotRepeatable
from ml.settings import Settings


def main() -> None:
    """Parse and lint afresh, then load; any error ends the process with it."""
    settings = Settings.from_env(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory() as home:
        runner = DbtRunner(replace(settings, home=Path(home)))
        tables, found = runner.manifest["nodes"], list(findings(runner))
    if found:
        raise SqlNotRepeatable(found)
    dg.Definitions.validate_loadable(build())
    sys.stdout.write(f"dbt parses {len(tables)} nodes; their SQL repeats; definitions load\n")


if __name__ == "__main__":
    main()

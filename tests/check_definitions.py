"""Loads everything that is declared: dbt parses without a warning, and the asset definitions resolve.

What the graph must look like is a test's matter.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import dagster as dg

from assets.dbt_runner import DbtRunner
from assets.definitions import build
from ml.settings import Settings


def main() -> None:
    """Parse afresh, then load; any error ends the process with it."""
    settings = Settings.from_env(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory() as home:
        tables = DbtRunner(replace(settings, home=Path(home))).manifest["nodes"]
    dg.Definitions.validate_loadable(build())
    sys.stdout.write(f"dbt parses {len(tables)} nodes; definitions load\n")


if __name__ == "__main__":
    main()

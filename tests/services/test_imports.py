"""The endpoint runs where neither Dagster nor dbt is installed, and doesn't load what it doesn't use."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Fails on import as if not installed: what only the asset side has, and what is never needed to serve.
SCRIPT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError("not installed here: " + name, name=name)

sys.meta_path.insert(0, Absent())
import services.edge, services.endpoint, services.following, services.openapi, services.metrics
import ml.online
print(*sorted(name for name in sys.modules if name in {heavy!r}))
"""
ABSENT = {
    "assets",
    "dagster",
    "dagster_dbt",
    "dbt",
    "headwater",
    "matplotlib",
    "pandas",
    "rich",
    "sklearn",
}
# dbt installs an older companion of sqlglot, which then says that it is; an endpoint's own lock has none.
SQLGLOT = ("-W", "ignore:sqlglotrs is deprecated:DeprecationWarning")
HEAVY = {"lightgbm", "pyiceberg", "scipy"}


def test_the_endpoint_needs_neither_dagster_nor_dbt() -> None:
    script = SCRIPT.format(absent=ABSENT, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-W", "error", *SQLGLOT, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], "imported at start, not where it is used"


def test_the_lock_is_part_of_the_projects_lock_and_names_no_registry() -> None:
    locked = (ROOT / "services" / "requirements.lock").read_text()
    whole = (ROOT / "requirements.lock").read_text().splitlines()
    # What follows a semicolon says for which platforms: of fewer parts there may be fewer.
    pinned = [line.partition(" ")[0] for line in locked.splitlines() if "==" in line]
    assert pinned
    assert {line.partition(" ")[0] for line in whole} >= set(pinned)
    assert locked.count("--hash=sha256:") >= len(pinned)
    assert "://" not in locked
    assert not {line.partition("==")[0] for line in pinned} & {"dagster", "dbt-core", "dbt-duckdb", "pandas"}

"""The project's own files agree with each other and keep to its rules."""

import subprocess
import tomllib

import yaml

from tests.project_folder import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAX_CODE_LINES = 300
# All errors stand in one file, so that what can go wrong is read in one place.
LONG_FOR_A_REASON = {"ml/errors.py"}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split()


def test_the_workspace_and_dg_name_the_same_code_location() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    (location,) = workspace["load_from"]
    dg = PYPROJECT["tool"]["dg"]["project"]
    assert location["python_module"]["module_name"] == dg["code_location_target_module"]
    assert location["python_module"]["working_directory"] == "."
    assert dg["defs_module"].startswith(dg["root_module"])


def test_no_file_is_too_long_or_too_large() -> None:
    for name in tracked():
        file = ROOT / name
        assert file.stat().st_size < 2**20, name
        if file.suffix == ".py" and name not in LONG_FOR_A_REASON:
            code = [line for line in file.read_text().splitlines() if line.strip()]
            assert len(code) <= MAX_CODE_LINES, f"{name} has {len(code)} lines"


def test_locks_are_hashed_and_name_no_host() -> None:
    for name in ("requirements.lock", "services/requirements.lock"):
        text = (ROOT / name).read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
        pinned = [line for line in text.splitlines() if "==" in line]
        assert all(line.rstrip().endswith("\\") for line in pinned), name


def test_the_makefile_is_short_and_explains_itself() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    targets = [line.split()[1] for line in told.splitlines()]
    assert len(targets) <= 10
    assert {"up", "down", "test", "check", "bench"} <= set(targets)


def test_nothing_phones_home() -> None:
    dbt = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text())
    assert dbt["flags"]["send_anonymous_usage_stats"] is False
    makefile = (ROOT / "Makefile").read_text()
    assert "DAGSTER_DISABLE_TELEMETRY = yes" in makefile
    assert "BENTOML_DO_NOT_TRACK = True" in makefile

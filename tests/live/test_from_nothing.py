"""A project from nothing: sources, SQL and a model; a feature by three lines, then a model by one file.

Its Python is this project's, and it holds nothing that this project declares.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from tests.assets.meters import Meters, day
from tests.assets.meters_declared import MODEL
from tests.live.project import Project, free_port
from tests.project_folder import ROOT

DECLARED = ("assets/defs/", "dbt_project/", "tests/", "docs/", "benchmarks/")
GATE = {"floor": {"roc_auc": 0}, "against_champion": {"metric": "roc_auc", "max_drop": 1}}
FIRST = MODEL | {"gate": GATE}
SECOND = {
    **MODEL,
    "name": "watts_read",
    "description": "How much a meter will read.",
    "task": "regression",
    "label": {"table": "reading_labels", "column": "watts"},
    "gate": {"floor": {"rmse": 1000}, "against_champion": {"metric": "rmse", "rule": "not_worse"}},
}
# One line each, in the SQL of the feature table, in its YAML and in the model's declaration.
FEATURE = {
    "dbt_project/models/features/reading_features.sql": (
        "    watts_sum_2d\n",
        "    cast(date_part('isodow', read_at) as integer) as read_weekday,\n",
    ),
    "dbt_project/models/features/reading_features.yml": (
        "      - name: watts_sum_2d\n",
        "      - {name: read_weekday, data_type: integer, description: Weekday it is read on.}\n",
    ),
    "assets/defs/high_reading/defs.yaml": ("    - watts_sum_2d\n", "    - read_weekday\n"),
}


def declare(root: Path, model: dict[str, object]) -> Path:
    """Write the one file of a model."""
    file = root / "assets" / "defs" / str(model["name"]) / "defs.yaml"
    file.parent.mkdir()
    declared = {"type": "assets.components.PredictionModel", "attributes": model}
    file.write_text(yaml.safe_dump(declared, sort_keys=False))
    return file


@pytest.fixture(scope="module")
def meters_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("meters")
    with pytest.MonkeyPatch.context() as patch:
        meters = Meters(folder, patch)
    root = meters.settings.project
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        if not name.startswith(DECLARED) or name == "assets/defs/__init__.py":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    (root / "assets" / "defs" / "tables").mkdir()
    tables = {"type": "assets.components.DbtTables", "attributes": {"owners": ["team:meters"]}}
    (root / "assets" / "defs" / "tables" / "defs.yaml").write_text(yaml.safe_dump(tables))
    declare(root, FIRST)
    for n in range(6):
        meters.land_readings(day(n))
    ports = [free_port() for _ in range(3)]
    project = Project(meters.settings.home, meters.settings.landing, *ports, root=root)
    try:
        project.headwater("up")
        yield project
    finally:
        project.headwater("down", check=False)


def test_sources_tables_and_a_model_serve(meters_project: Project) -> None:
    request = {"meter_id": "m1", "read_at": "2013-03-07T04:00:00Z"}
    answer = meters_project.predict([request])
    assert answer.status == 200, answer.body
    assert answer.body["model"]["version"] == meters_project.champion("high_reading")
    assert 0 < answer.body["predictions"][0]["score"] < 1


def test_a_feature_is_three_lines(meters_project: Project) -> None:
    before = meters_project.champion("high_reading")
    for name, (after, line) in FEATURE.items():
        assert line.count("\n") == 1
        file = meters_project.root / name
        text = file.read_text()
        assert text.count(after) == 1, text
        file.write_text(text.replace(after, line + after))
    meters_project.headwater("up")
    now = meters_project.champion("high_reading")
    assert now != before
    (file,) = (meters_project.home / "registry").glob(f"**/{now}/bundle/declaration.json")
    declared = json.loads(file.read_text())
    assert "read_weekday" in declared["features"]["columns"]


def test_a_mistake_names_its_line_and_the_champion_goes_on(meters_project: Project) -> None:
    file = meters_project.root / "assets" / "defs" / "high_reading" / "defs.yaml"
    right = file.read_text()
    file.write_text(right.replace("- read_weekday", "- read_weekdy"))
    line = 1 + file.read_text().splitlines().index("    - read_weekdy")
    refused = meters_project.headwater("up", check=False)
    file.write_text(right)
    assert refused.returncode == 1
    told = "".join((refused.stdout + refused.stderr).split())
    assert f"{file}:{line}:" in told
    assert "'read_weekday'" in told
    with urlopen(f"{meters_project.endpoint}/readyz", timeout=30) as ready:
        assert ready.status == 200


def test_a_model_is_one_file(meters_project: Project) -> None:
    root = meters_project.root
    labels = root / "dbt_project" / "models" / "labels" / "reading_labels"
    sql = labels.with_suffix(".sql")
    sql.write_text(sql.read_text().replace(" as is_high,", " as is_high, watts,"))
    described = labels.with_suffix(".yml")
    column = "      - name: label_known_at\n"
    described.write_text(
        described.read_text().replace(column, f"      - {{name: watts, data_type: integer}}\n{column}")
    )
    declare(root, SECOND)
    meters_project.headwater("up")
    champions = meters_project.status()["champions"]
    assert set(champions) == {"high_reading", "watts_read"}

"""What the README shows is true of the code: its commands, declarations, request and paths."""

import json
import re
import shlex

import yaml
from click.testing import CliRunner

from assets.components.prediction_model import DeclaredModel
from headwater.cli import main
from ml.sources import Source
from tests.project_folder import ROOT

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_its_make_targets_exist() -> None:
    targets = set(re.findall(r"\bmake ([a-z]+)", README))
    made = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert targets <= made


def test_its_commands_and_options_exist() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if "/headwater " in line]
    assert lines
    for line in lines:
        _, *rest = shlex.split(line)
        commands = rest[: 2 if rest[0] == "key" else 1]
        told = CliRunner().invoke(main, [*commands, "--help"])
        assert told.exit_code == 0, line
        assert all(option in told.output for option in rest if option.startswith("--")), line


def test_its_source_is_a_declaration() -> None:
    shown = [yaml.safe_load(block) for block in blocks("yaml") if block.startswith("type:")]
    (source,) = [one["attributes"] for one in shown if one["type"].endswith("LandedSource")]
    (rules,) = [yaml.safe_load(block) for block in blocks("yaml") if block.startswith("columns:")]
    daily = {"cadence": "daily", "start": "2013-01-01", "event_at": "measured_at"}
    Source.declare(source | rules | daily | {"facts": [source["facts"][0] | {"known_at": "measured_at"}]})
    assert Source.declare(source).name == "airlines"


def test_its_model_is_a_declaration() -> None:
    shown = [yaml.safe_load(block) for block in blocks("yaml") if block.startswith("type:")]
    (model,) = [one["attributes"] for one in shown if one["type"].endswith("PredictionModel")]
    assert DeclaredModel.model_validate(model).declaration.name == "late_arrival"


def test_its_search_is_a_part_of_its_model() -> None:
    shown = [yaml.safe_load(block) for block in blocks("yaml")]
    parts = [one for one in shown if isinstance(one, dict)]
    (model,) = [one["attributes"] for one in parts if one.get("type", "").endswith("PredictionModel")]
    (search,) = [one for one in parts if set(one) == {"search"}]
    declared = DeclaredModel.model_validate(model | search).declaration
    assert declared.search is not None
    assert declared.search.trials


def test_its_feature_is_a_column_of_sql_and_yaml() -> None:
    (column,) = [yaml.safe_load(block)[0] for block in blocks("yaml") if block.lstrip().startswith("-")]
    assert {"name", "data_type", "description"} <= set(column)
    assert any(block.rstrip().endswith(f"as {column['name']},") for block in blocks("sql"))


def test_its_request_has_the_fields_that_the_spine_declares() -> None:
    (body,) = re.findall(r"-d '(\{.*?\})'", README)
    (instance,) = json.loads(body)["instances"]
    spine = yaml.safe_load((ROOT / "dbt_project/models/features/flight_spine.yml").read_text())
    columns = {column["name"] for column in spine["models"][0]["columns"]}
    assert set(instance) == columns - {"flight_id", "prediction_at", "day"}


def test_the_files_it_names_exist() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    named = re.findall(r"`((?:assets|dbt_project|ml|services|headwater|benchmarks|tests)/[\w./]*)`", README)
    assert pictures
    for path in (*pictures, *named):
        assert (ROOT / path).exists(), path


def test_its_pictures_are_small() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).stat().st_size < 300_000, path

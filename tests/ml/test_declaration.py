"""A declaration says what is wrong with it: field, value, and the nearest that is allowed."""

from typing import Any

import pytest

from ml.declaration import ModelDeclaration
from ml.errors import DeclarationRefused
from tests.ml.parcels import DECLARED, declared, definition, using

GATE = DECLARED["gate"]
MISTAKES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"engine": {"name": "lightgmb"}}, ("engine.name", "'lightgmb'", "'lightgbm'")),
    (
        {"engine": {"name": "lightgbm", "parameters": {"num_leafs": 31}}},
        ("engine", "'num_leafs'", "'num_leaves'"),
    ),
    ({"engine": {"name": "lightgbm", "parameters": {"num_threads": 3}}}, ("engine", "'num_threads'")),
    ({"gate": {**GATE, "floor": {"roc_aux": 0.7}}}, ("gate.floor.roc_aux", "'roc_auc'")),
    (
        {"gate": {**GATE, "against_champion": {"metric": "briar"}}},
        ("gate.against_champion.metric", "'briar'", "'brier'"),
    ),
    (
        {"gate": {"floor": {"brier": 0.2}, "against_champion": {"metric": "brier", "max_drop": -1}}},
        ("gate.against_champion.max_drop", "-1", "greater than or equal to 0"),
    ),
    (
        {"gate": {**GATE, "against_champion": {"metric": "brier", "rule": "beter"}}},
        ("gate.against_champion.rule", "'beter'", "'better'"),
    ),
    (
        {"gate": {**GATE, "against_champion": {"metric": "brier", "min_efect": 0.1}}},
        ("gate.against_champion.min_efect", "'min_effect'"),
    ),
    (
        {"gate": {**GATE, "against_champion": {"metric": "brier", "rule": "better", "max_drop": 0.1}}},
        ("gate.against_champion", "max_drop: of rule 'not_worse'"),
    ),
    (
        {"gate": {**GATE, "against_champion": {"metric": "brier", "max_drop": 0.1, "min_effect": 0.1}}},
        ("gate.against_champion", "min_effect: of rule 'better'"),
    ),
    (
        {"gate": {**GATE, "against_champion": {"metric": "brier", "yearly_alpha": 5}}},
        ("gate.against_champion.yearly_alpha", "5", "less than or equal to 0.5"),
    ),
    (
        {"gate": {**GATE, "against_champion": {"metric": "brier"}}, "split": {"holdout_days": 3}},
        ("split.holdout_days = 3: leaves too few days", "at least 7"),
    ),
    ({"task": "regresion"}, ("task", "'regresion'", "'regression'")),
    ({"retrain": {"after_new_day": 7}}, ("retrain.after_new_day", "'after_new_days'")),
    ({"retrain": {"cool_down_days": 7}}, ("retrain", "at least one of after_new_days, max_age_days")),
    ({"retrain": {"drift": {"min_share": 0.2}}}, ("retrain", "give cool_down_days")),
    ({"retrain": {"drift": {"min_shar": 0.2}}}, ("retrain.drift.min_shar", "'min_share'")),
    ({"retrain": {"after_new_days": 1, "budget": {"retrains": 8, "within_days": 7}}}, ("more retrains",)),
    ({"drift": {"window": 7}}, ("drift.window", "'window_days'")),
    ({"split": {}}, ("split", "holdout_days")),
    ({"split": {"holdout_days": 0}}, ("split.holdout_days", "0")),
    ({"split": {"holdout_days": 3, "train_until": "2024-03-01"}}, ("split", "not both")),
    ({"split": {"train_until": "2024-03-01", "test_from": "2024-03-01"}}, ("split", "2024-03-01")),
    (
        {"split": {"train_until": "2024-02-30", "test_from": "2024-03-01"}},
        ("split.train_until", "2024-02-30"),
    ),
    ({"features": {"table": "parcel_features", "columns": []}}, ("features.columns",)),
    ({"features": {"table": "t", "columns": ["a", "b", "a"]}}, ("features", "'a'")),
    ({"features": {"table": "t", "columns": ["a", "is_late"]}}, ("is_late",)),
    ({"name": "Late Parcel"}, ("name", "'Late Parcel'")),
    ({"slices": {"columns": ["depot"]}}, ("slices", "'depot'", "'depot_id'")),
    ({"slices": {"columns": []}}, ("slices.columns",)),
    ({"costs": {"false_negativ": 3}}, ("costs.false_negativ", "'false_negative'")),
    ({"costs": {"false_negative": -1}}, ("costs.false_negative", "-1")),
]


@pytest.mark.parametrize(("change", "told"), MISTAKES, ids=[" ".join(told) for _, told in MISTAKES])
def test_a_mistake_is_named_with_what_is_allowed(change: dict[str, Any], told: tuple[str, ...]) -> None:
    with pytest.raises(DeclarationRefused) as refused:
        declared(**change)
    for part in told:
        assert part in str(refused.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(DeclarationRefused) as refused:
        declared(task="x", retrain={"after_new_days": 0}, nmae="y")
    assert {problem.field for problem in refused.value.problems} == {"task", "retrain.after_new_days", "nmae"}
    assert "'name'" in str(refused.value)


def test_columns_are_checked_against_the_tables() -> None:
    present = [column.name for column in definition().features]
    declared().validate_against(present, ["is_late", "has_van"])
    misspelt = using(["depot_id", "wheight_kg"])
    wrong = declared(features=misspelt, label={**DECLARED["label"], "train_only_where": "has_von"})
    with pytest.raises(DeclarationRefused) as refused:
        wrong.validate_against(present, ["is_late", "has_van"])
    assert "features.columns[1] = 'wheight_kg': no such column. Did you mean 'weight_kg'" in str(
        refused.value
    )
    assert "label.train_only_where = 'has_von'" in str(refused.value)
    assert "'has_van'" in str(refused.value)


def test_a_gate_that_allows_a_drop_asks_for_no_proof() -> None:
    assert declared().gate.against_champion.rule == "not_worse"
    asked = declared(gate={**GATE, "against_champion": {"metric": "brier"}})
    assert asked.gate.against_champion.rule == "better"
    for one in (asked, declared()):
        assert ModelDeclaration.parse(one.model_dump(mode="json")) == one


def test_schema_lists_what_is_allowed() -> None:
    schema = ModelDeclaration.model_json_schema()
    assert schema["$defs"]["EngineChoice"]["properties"]["name"]["enum"] == ["lightgbm", "linear"]
    assert schema["properties"]["task"]["enum"] == ["binary", "regression", "multiclass", "ranking"]
    rule = schema["$defs"]["AgainstChampion"]["properties"]
    assert rule["rule"]["enum"] == ["better", "not_worse"]
    assert all(one["description"] for one in rule.values())

"""Contributions of features: they sum to the raw score, repeat, and say why where there are none."""

import numpy as np
import pytest

from ml.analysis.contributions import N_ROWS, Contributions, contributions
from ml.scoring import Scorer, as_matrix, encode
from ml.training import train
from ml.training_set import TrainingSet, assemble
from tests.ml.parcels import declared, definition, world


@pytest.fixture(scope="module")
def rows() -> TrainingSet:
    return assemble(world(), declared())


@pytest.mark.parametrize("engine", [{"name": "linear"}, None], ids=["linear", "lightgbm"])
def test_they_sum_to_the_raw_scores_of_a_fixed_sample(
    rows: TrainingSet, engine: dict[str, str] | None
) -> None:
    bundle = train(rows, declared(**({"engine": engine} if engine else {})), definition())
    fitted, contract = Scorer(bundle).fitted, bundle.contract
    sample = rows.test.slice(0, N_ROWS)
    found = contributions(fitted, contract, sample)
    assert isinstance(found, Contributions)
    assert {one.feature for one in found.features} == set(fitted.features)
    means = [one.mean for one in found.features]
    assert means == sorted(means, reverse=True)
    values = as_matrix(encode(sample, contract))
    begin = fitted.explain(values, threads=1)[0, -1]
    total = np.sum([one.adds for one in found.features], axis=0) + begin
    np.testing.assert_allclose(total, fitted.raw(values, threads=1), atol=1e-3)
    places = {one.feature: [at for at in one.places if at is not None] for one in found.features}
    assert places["depot_id"] == []
    assert (min(places["weight_kg"]), max(places["weight_kg"])) == (0, 1)
    drawn = contributions(fitted, contract, rows.test)
    assert drawn == contributions(fitted, contract, rows.test)
    assert drawn != found


def test_trees_with_linear_leaves_say_why_they_have_none(rows: TrainingSet) -> None:
    engine = {"name": "lightgbm", "parameters": {"num_iterations": 20, "linear_tree": True}}
    bundle = train(rows, declared(engine=engine), definition())
    said = contributions(Scorer(bundle).fitted, bundle.contract, rows.test)
    assert isinstance(said, str)
    assert "linear" in said

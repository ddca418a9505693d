"""One suite over all engines: fit, predict, save, load, importances."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.engines import ENGINES
from ml.engines.protocol import Engine
from ml.errors import EngineRefused
from ml.scoring import as_matrix

SETTINGS: dict[str, Any] = {
    "lightgbm": {"num_iterations": 25, "num_leaves": 15, "bagging_fraction": 0.7, "bagging_freq": 1},
}
rng = np.random.default_rng(3)
N = 4000
_x = rng.normal(size=N)
_codes = rng.integers(0, 40, N).astype(float)
FEATURES = pa.table(
    {
        "x": pa.array(_x, mask=rng.random(N) < 0.1),
        "code": pa.array(_codes, mask=rng.random(N) < 0.05),
        "constant": pa.array(np.ones(N)),
        "never": pa.nulls(N, pa.float64()),
        "noise": pa.array(rng.normal(size=N) * 1e-300),
    }
)
LABEL = (_x + (_codes % 7 == 2) * 2 + rng.normal(size=N) > 0.5).astype(np.float32)


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


def _fit(engine: Engine, **changes: Any) -> Any:
    told = {
        "task": "binary",
        "categories": ("code",),
        "seed": 1,
        "parameters": SETTINGS[engine.name],
        "threads": 1,
        **changes,
    }
    return engine.fit(FEATURES, LABEL, **told)


def test_it_learns_and_gives_probabilities(engine: Engine) -> None:
    scores = _fit(engine).predict(as_matrix(FEATURES), threads=1)
    assert scores.shape == (N,)
    assert scores.dtype == np.float64
    assert ((scores > 0) & (scores < 1)).all()
    assert scores[LABEL == 1].mean() - scores[LABEL == 0].mean() > 0.2


def test_text_and_back_predicts_the_same_to_the_bit(engine: Engine) -> None:
    fitted = _fit(engine)
    again = engine.load(fitted.save())
    assert again.save() == fitted.save()
    matrix = as_matrix(FEATURES)
    np.testing.assert_array_equal(again.predict(matrix, threads=1), fitted.predict(matrix, threads=2))
    assert again.importances() == fitted.importances()


def test_threads_do_not_change_the_text_and_the_seed_does(engine: Engine) -> None:
    one, two, again = (_fit(engine, threads=threads).save() for threads in (1, 2, 2))
    assert one == two == again
    assert _fit(engine, seed=2).save() != one


def test_missing_and_unseen_codes_are_the_same(engine: Engine) -> None:
    rows = np.tile(as_matrix(FEATURES.slice(0, 1)), (2, 1))
    rows[:, 1] = [np.nan, 39 + 100]
    missing, unseen = _fit(engine).predict(rows, threads=1)
    assert missing == unseen


def test_importances_name_every_feature_once(engine: Engine) -> None:
    importances = _fit(engine).importances()
    assert {one.feature for one in importances} == set(FEATURES.column_names)
    assert sum(one.gain_share for one in importances) == pytest.approx(1)
    assert importances[0].feature in ("x", "code")
    assert {one.feature: one.n_splits for one in importances}["never"] == 0


def test_what_the_library_refuses_is_told(engine: Engine) -> None:
    with pytest.raises(EngineRefused, match=f'"{engine.name}" refused to fit'):
        _fit(engine, parameters={"num_leaves": -4})
    with pytest.raises(EngineRefused, match=f'"{engine.name}" refused to load'):
        engine.load("no model at all")


def test_versions_are_known(engine: Engine) -> None:
    assert engine.versions()[engine.name].count(".") >= 1

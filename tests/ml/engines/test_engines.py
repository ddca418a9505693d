"""One suite over all engines: fit, predict, save, load, explain, importances, for every task each has."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.engines import BASELINE, ENGINES
from ml.engines.protocol import Engine, Target, Watch
from ml.errors import DeclarationRefused, EngineRefused
from ml.scoring import as_matrix
from tests.ml.parcels import DECLARED, declared

# Of each engine: parameters, some that its library refuses, and whether its seed decides anything.
SETTINGS: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_iterations": 25, "num_leaves": 15, "bagging_fraction": 0.7, "bagging_freq": 1},
    "linear": {"l2": 2.0, "max_categories": 30},
}
REFUSED: dict[str, dict[str, Any]] = {"lightgbm": {"num_leaves": -4}, "linear": {"l2": -1.0, "max_iter": -1}}
DRAWS = {"lightgbm"}
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
MATRIX = as_matrix(FEATURES)
_TRUTH = _x + (_codes % 7 == 2) * 2 + rng.normal(size=N)
TARGETS = {
    "binary": Target("binary", (_TRUTH > 0.5).astype(float)),
    "regression": Target("regression", 100 + 10 * _TRUTH),
    "multiclass": Target("multiclass", np.digitize(_TRUTH, [-0.5, 1.0]).astype(float), n_classes=3),
    "ranking": Target("ranking", np.digitize(_TRUTH, [0.0, 1.0, 2.0]).astype(float), groups=np.full(400, 10)),
}
CASES = [(name, task) for name, engine in sorted(ENGINES.items()) for task in sorted(engine.tasks)]


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


def _fit(engine: Engine, task: str = "binary", **changes: Any) -> Any:
    told = {
        "categories": ("code",),
        "seed": 1,
        "parameters": SETTINGS[engine.name],
        "threads": 1,
        **changes,
    }
    return engine.fit(FEATURES, TARGETS[task], **told)


@pytest.fixture(scope="module")
def fitted_ones() -> dict[tuple[str, str], Any]:
    """Every engine fitted once for each of its tasks."""
    return {(name, task): _fit(ENGINES[name], task) for name, task in CASES}


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_it_learns_each_task(case: tuple[str, str], fitted_ones: dict[tuple[str, str], Any]) -> None:
    task, values = case[1], TARGETS[case[1]].values
    scores = fitted_ones[case].predict(MATRIX, threads=1)
    assert scores.dtype == np.float64
    assert fitted_ones[case].features == tuple(FEATURES.column_names)
    if task == "multiclass":
        assert scores.shape == (N, 3)
        np.testing.assert_allclose(scores.sum(axis=1), 1)
        assert (scores.argmax(axis=1) == values).mean() > 0.55
        return
    assert scores.shape == (N,)
    assert np.corrcoef(scores, values)[0, 1] > 0.5
    if task == "binary":
        assert ((scores > 0) & (scores < 1)).all()
        assert abs(scores.mean() - values.mean()) < 0.01
    if task == "regression":
        assert abs(scores.mean() - values.mean()) < 0.5


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_text_and_back_is_the_same_to_the_bit(
    case: tuple[str, str], fitted_ones: dict[tuple[str, str], Any]
) -> None:
    fitted = fitted_ones[case]
    again = ENGINES[case[0]].load(fitted.save())
    assert again.save() == fitted.save()
    np.testing.assert_array_equal(again.predict(MATRIX, threads=1), fitted.predict(MATRIX, threads=2))
    assert again.importances() == fitted.importances()
    assert again.features == fitted.features


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_what_features_add_sums_to_the_raw_score(
    case: tuple[str, str], fitted_ones: dict[tuple[str, str], Any]
) -> None:
    fitted, rows = fitted_ones[case], MATRIX[:50]
    parts = fitted.explain(rows, threads=1)
    raw = fitted.raw(rows, threads=1)
    assert parts.shape == (*raw.shape, len(FEATURES.column_names) + 1)
    np.testing.assert_allclose(parts.sum(axis=-1), raw, rtol=1e-9, atol=1e-9)
    never = FEATURES.column_names.index("never")
    assert not parts[..., never].any()
    np.testing.assert_allclose(_linked(case[1], raw), fitted.predict(rows, threads=1), rtol=1e-12)


def _linked(task: str, raw: Any) -> Any:
    if task == "binary":
        return 1 / (1 + np.exp(-raw))
    if task == "multiclass":
        return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return raw


def test_a_row_scores_the_same_alone_and_among_others(
    engine: Engine, fitted_ones: dict[tuple[str, str], Any]
) -> None:
    for task in engine.tasks:
        fitted = fitted_ones[engine.name, task]
        together = fitted.predict(MATRIX[:64], threads=1)
        alone = np.concatenate([fitted.predict(MATRIX[i : i + 1], threads=1) for i in range(64)])
        np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_scorer_of_rows_is_the_model_to_the_bit(
    case: tuple[str, str], raw: bool, fitted_ones: dict[tuple[str, str], Any]
) -> None:
    fitted = fitted_ones[case]
    among = (fitted.raw if raw else fitted.predict)(MATRIX[:500], threads=1).reshape(500, -1)
    score = fitted.row_scorer(raw=raw)
    with ThreadPoolExecutor(4) as threads:
        alone = np.stack(list(threads.map(score, MATRIX[:500])))
    assert alone.tobytes() == among.tobytes()


def test_threads_do_not_change_the_text(engine: Engine) -> None:
    one, two, again = (_fit(engine, threads=threads).save() for threads in (1, 2, 2))
    assert one == two == again
    assert (_fit(engine, seed=2).save() != one) is (engine.name in DRAWS)


def test_missing_and_unseen_codes_are_the_same(engine: Engine) -> None:
    rows = np.tile(MATRIX[:1], (2, 1))
    rows[:, 1] = [np.nan, 39 + 100]
    missing, unseen = _fit(engine).predict(rows, threads=1)
    assert missing == unseen


def test_no_value_at_all_has_a_score(engine: Engine, fitted_ones: dict[tuple[str, str], Any]) -> None:
    nothing = np.full((1, MATRIX.shape[1]), np.nan)
    for task in engine.tasks:
        assert np.isfinite(fitted_ones[engine.name, task].predict(nothing, threads=1)).all()


def test_importances_name_every_feature_once(engine: Engine) -> None:
    importances = _fit(engine).importances()
    assert {one.feature for one in importances} == set(FEATURES.column_names)
    assert sum(one.gain_share for one in importances) == pytest.approx(1)
    assert importances[0].feature in ("x", "code")
    never = next(one for one in importances if one.feature == "never")
    assert (never.gain_share, never.n_splits or 0) == (0, 0)


def test_what_the_library_refuses_is_told(engine: Engine) -> None:
    with pytest.raises(EngineRefused, match=f'"{engine.name}" refused to fit'):
        _fit(engine, parameters=REFUSED[engine.name])
    whole = _fit(engine).save()
    for text in ("no model at all", "", "{}", "null", whole[: len(whole) // 2], whole[: len(whole) // 5]):
        with pytest.raises(EngineRefused, match=f'"{engine.name}" refused to load'):
            engine.load(text)


def test_an_unknown_parameter_is_refused_by_the_declaration(engine: Engine) -> None:
    known = next(name for name in sorted(engine.parameters) if len(name) > 5)
    misspelt = {"name": engine.name, "parameters": {f"{known}x": 1}}
    with pytest.raises(DeclarationRefused, match=rf"'{known}x'.*'{known}'"):
        declared(engine=misspelt)


def test_a_watch_sees_the_scores_of_other_rows_and_can_end_the_fit(engine: Engine) -> None:
    seen: list[int] = []
    other = FEATURES.slice(0, 100)

    def step(n_done: int, scores: Any) -> None:
        assert scores.shape == (100,)
        assert ((scores > 0) & (scores < 1)).all()
        seen.append(n_done)

    fitted = _fit(engine, watch=Watch(other, step))
    assert fitted.save() == _fit(engine).save()
    assert seen in ([10, 20, 25], [1])

    class Enough(Exception):
        pass

    def stop(_: int, __: Any) -> None:
        raise Enough

    with pytest.raises(Enough):
        _fit(engine, watch=Watch(other, stop))


def test_versions_are_known_and_files_are_its_own(engine: Engine) -> None:
    assert all("." in version for version in engine.versions().values())
    assert engine.reads <= set(engine.versions())
    assert [one.file for one in ENGINES.values()].count(engine.file) == 1


def test_the_baseline_has_every_task() -> None:
    assert ENGINES[BASELINE].tasks == {task for one in ENGINES.values() for task in one.tasks}
    assert DECLARED["engine"]["name"] != BASELINE


def test_classes_that_a_thinned_fit_does_not_see_are_still_outputs() -> None:
    rare = np.zeros(N)
    rare[1], rare[2:2000] = 2, 1
    fitted = ENGINES["linear"].fit(
        FEATURES,
        Target("multiclass", rare, n_classes=3),
        categories=("code",),
        seed=0,
        parameters={"max_rows": N // 2},
        threads=1,
    )
    scores = fitted.predict(MATRIX, threads=1)
    assert scores.shape == (N, 3)
    assert scores[:, 2].max() < 1e-9


@pytest.mark.parametrize(("stored", "gaps"), [(pa.int8(), False), (pa.int32(), False), (pa.float32(), True)])
def test_narrow_columns_give_the_same_model_as_wide_ones(engine: Engine, stored: Any, gaps: bool) -> None:
    codes = pa.array(_codes, mask=(_codes == 7) if gaps else None)
    wide = FEATURES.set_column(1, "code", codes)
    narrow = FEATURES.set_column(1, "code", codes.cast(stored))
    told: dict[str, Any] = {"categories": ("code",), "seed": 1, "parameters": SETTINGS[engine.name]}
    texts = {engine.fit(rows, TARGETS["binary"], threads=1, **told).save() for rows in (wide, narrow)}
    assert len(texts) == 1

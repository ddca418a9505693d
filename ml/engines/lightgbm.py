"""Gradient boosted trees by LightGBM.

Which rows, which columns and what a category's code means are decided before they come here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.engines.lightgbm_probe import refuse_deadly
from ml.engines.lightgbm_row import LightGBMRow
from ml.engines.protocol import Importance, Parameter, RowScorer, Target, Watch, parameter_types
from ml.errors import EngineRefused
from ml.lean_import import without

_OBJECTIVES = {task: task for task in ("binary", "multiclass", "regression")} | {"ranking": "lambdarank"}


def _library() -> Any:
    # Threads that spin while waiting made a fit 25 to 50 times slower beside other load.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with without("sklearn", "pandas", "matplotlib", "graphviz", "dask", "distributed", "cffi"):
        import lightgbm

    return lightgbm


@dataclass(frozen=True)
class FittedLightGBM:
    """Trees, and the text they were read from."""

    text: str
    booster: Any

    @property
    def features(self) -> tuple[str, ...]:
        """As they stand in the text."""
        return tuple(self.booster.feature_name())

    def predict(self, values: NDArray[np.float64], *, threads: int) -> NDArray[np.float64]:
        """Probabilities, values or ranking scores."""
        return np.asarray(self.booster.predict(values, num_threads=threads), dtype=np.float64)

    def raw(self, values: NDArray[np.float64], *, threads: int) -> NDArray[np.float64]:
        """Sums over the trees."""
        found = self.booster.predict(values, num_threads=threads, raw_score=True)
        return np.asarray(found, dtype=np.float64)

    def explain(self, values: NDArray[np.float64], *, threads: int) -> NDArray[np.float64]:
        """SHAP values (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9); linear trees have none."""
        if "\nis_linear=1" in self.text:  # a booster read from text does not refuse them: its sums are wrong
            raise EngineRefused("lightgbm", "explain", "trees with linear leaves have no SHAP values")
        told = self.booster.predict(values, num_threads=threads, pred_contrib=True)
        classes = self.booster.num_model_per_iteration()
        shape = (len(values), classes, -1) if classes > 1 else (len(values), -1)
        return np.asarray(told, dtype=np.float64).reshape(shape)

    def row_scorer(self, *, raw: bool = False) -> RowScorer:
        """LightGBM's entry for single rows."""
        return LightGBMRow(self.booster, len(self.features), raw=raw)

    def save(self) -> str:
        """LightGBM's model text without its parameters section, which names the threads."""
        return self.text

    def importances(self) -> tuple[Importance, ...]:
        """Gain and splits over all trees."""
        gains = self.booster.feature_importance("gain")
        splits = self.booster.feature_importance("split")
        total = float(gains.sum()) or 1.0
        found = [
            Importance(name, float(gain) / total, int(n))
            for name, gain, n in zip(self.features, gains, splits, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: (-one.gain_share, one.feature)))


class LightGBM:
    """The engine; on one kind of machine the same rows give the same trees with any number of threads."""

    name = "lightgbm"
    file = "trees.txt"
    reads = frozenset({"lightgbm"})
    tasks = frozenset(_OBJECTIVES)
    # Everything about the run's environment and its repeatability is the platform's; these remain.
    parameters = parameter_types(
        booleans="extra_trees is_unbalance linear_tree",
        integers="bagging_freq max_bin max_cat_threshold max_cat_to_onehot max_depth min_data_in_bin "
        "min_data_in_leaf min_data_per_group num_iterations num_leaves",
        reals="bagging_fraction cat_l2 cat_smooth feature_fraction feature_fraction_bynode lambda_l1 "
        "lambda_l2 learning_rate min_gain_to_split min_sum_hessian_in_leaf other_rate path_smooth "
        "scale_pos_weight top_rate",
        words="boosting data_sample_strategy",
    )

    def versions(self) -> Mapping[str, str]:
        """LightGBM's own; the others only carry values to it."""
        return {"lightgbm": version("lightgbm")}

    def fit(
        self,
        features: Any,
        target: Target,
        *,
        categories: tuple[str, ...],
        seed: int,
        parameters: Mapping[str, Parameter],
        threads: int,
        watch: Watch | None = None,
    ) -> FittedLightGBM:
        """Train; Arrow columns go to LightGBM's bins as they lie, with no matrix between."""
        lightgbm = _library()
        settings: dict[str, Any] = {"num_iterations": 100, **parameters}
        settings |= {"objective": _OBJECTIVES[target.task], "seed": seed, "num_threads": threads}
        settings |= {"deterministic": True, "force_col_wise": True, "verbosity": -1, "metric": "None"}
        if target.task == "multiclass":
            settings["num_class"] = target.n_classes
        rounds, label = int(settings.pop("num_iterations")), target.values.astype(np.float32)
        told = {"group": target.groups, "categorical_feature": list(categories), "params": settings}
        try:
            rows = lightgbm.Dataset(features, label=label, **told).construct()
            del features  # the bins are all that training reads
            watched = {} if watch is None else _watched(rows, watch, rounds)
            booster = lightgbm.train(settings, rows, num_boost_round=rounds, **watched)
        except lightgbm.basic.LightGBMError as refusal:
            raise EngineRefused(self.name, "fit", str(refusal)) from refusal
        return self._read(booster.model_to_string().partition("\nparameters:")[0] + "\n")

    def load(self, text: str) -> FittedLightGBM:
        """Read model text, if LightGBM survives that."""
        if "\nend of trees\n" not in text:
            raise EngineRefused(self.name, "load", "it is cut short, or no model text at all")
        _library()
        refuse_deadly(text)
        return self._read(text)

    def _read(self, text: str) -> FittedLightGBM:
        """What was fitted is also read back, so that both are the same object."""
        lightgbm = _library()
        try:
            return FittedLightGBM(text, lightgbm.Booster(model_str=text))
        except lightgbm.basic.LightGBMError as refusal:
            raise EngineRefused(self.name, "load", str(refusal)) from refusal


def _watched(rows: Any, watch: Watch, rounds: int) -> dict[str, Any]:
    """Arguments with which LightGBM keeps the scores of other rows and hands them over every few rounds."""
    done = iter(range(1, rounds + 1))

    def step(scores: NDArray[np.float64], _: Any) -> tuple[str, float, bool]:
        n = next(done)
        if n % watch.every == 0 or n == rounds:
            watch.step(n, scores)
        return "watched", 0.0, True

    return {"valid_sets": [rows.create_valid(watch.features)], "feval": step}

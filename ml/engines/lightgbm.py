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

from ml.engines.protocol import Importance, Parameter
from ml.errors import EngineRefused
from ml.lean_import import without

_OBJECTIVES = {"binary": "binary"}

# Everything about the run's environment and its repeatability is the platform's; these remain.
_PARAMETERS = frozenset(
    {
        "bagging_fraction",
        "bagging_freq",
        "boosting",
        "cat_l2",
        "cat_smooth",
        "data_sample_strategy",
        "extra_trees",
        "feature_fraction",
        "feature_fraction_bynode",
        "is_unbalance",
        "lambda_l1",
        "lambda_l2",
        "learning_rate",
        "linear_tree",
        "max_bin",
        "max_cat_threshold",
        "max_cat_to_onehot",
        "max_depth",
        "min_data_in_bin",
        "min_data_in_leaf",
        "min_data_per_group",
        "min_gain_to_split",
        "min_sum_hessian_in_leaf",
        "num_iterations",
        "num_leaves",
        "other_rate",
        "path_smooth",
        "scale_pos_weight",
        "top_rate",
    }
)


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

    def predict(self, values: NDArray[np.float64], *, threads: int) -> NDArray[np.float64]:
        """Probabilities of shape (n,)."""
        return np.asarray(self.booster.predict(values, num_threads=threads), dtype=np.float64)

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
            for name, gain, n in zip(self.booster.feature_name(), gains, splits, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: (-one.gain_share, one.feature)))


class LightGBM:
    """The engine; on one kind of machine the same rows give the same trees with any number of threads."""

    name = "lightgbm"
    tasks = frozenset(_OBJECTIVES)
    parameters = _PARAMETERS

    def versions(self) -> Mapping[str, str]:
        """LightGBM's own; the others only carry values to it."""
        return {"lightgbm": version("lightgbm")}

    def fit(
        self,
        features: Any,
        label: NDArray[np.float32],
        *,
        task: str,
        categories: tuple[str, ...],
        seed: int,
        parameters: Mapping[str, Parameter],
        threads: int,
    ) -> FittedLightGBM:
        """Train; Arrow columns go to LightGBM's bins as they lie, with no matrix between."""
        lightgbm = _library()
        settings = {
            **parameters,
            "objective": _OBJECTIVES[task],
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": threads,
            "verbosity": -1,
        }
        rounds = int(settings.pop("num_iterations", 100))
        try:
            rows = lightgbm.Dataset(
                features, label=label, categorical_feature=list(categories), params=settings
            )
            booster = lightgbm.train(settings, rows, num_boost_round=rounds)
        except lightgbm.basic.LightGBMError as refusal:
            raise EngineRefused(self.name, "fit", str(refusal)) from refusal
        return self.load(booster.model_to_string().partition("\nparameters:")[0] + "\n")

    def load(self, text: str) -> FittedLightGBM:
        """Read model text; what was fitted is also read back, so that both are the same object."""
        lightgbm = _library()
        try:
            return FittedLightGBM(text, lightgbm.Booster(model_str=text))
        except lightgbm.basic.LightGBMError as refusal:
            raise EngineRefused(self.name, "load", str(refusal)) from refusal

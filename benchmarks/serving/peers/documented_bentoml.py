"""BentoML as its documents write a service of a LightGBM model: rows as a DataFrame, scores as an array."""

import os
from pathlib import Path

import bentoml
import lightgbm
import numpy as np
import pandas as pd


@bentoml.service(workers=int(os.environ["BENCH_WORKERS"]))
class Documented:
    """Typed by its annotations."""

    def __init__(self) -> None:
        self.model = lightgbm.Booster(model_str=Path(os.environ["BENCH_TREES"]).read_text())

    @bentoml.api
    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Scores."""
        return np.asarray(self.model.predict(rows))

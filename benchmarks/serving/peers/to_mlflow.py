"""Saves the trees as MLflow's server wants them; `mlflow models serve` does the rest."""

import os
import sys
from pathlib import Path

import lightgbm
import mlflow.lightgbm

model = lightgbm.Booster(model_str=Path(os.environ["BENCH_TREES"]).read_text())
mlflow.lightgbm.save_model(model, sys.argv[1])

"""FastAPI with LightGBM, as most tutorials have it."""

import os
from pathlib import Path

import lightgbm
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = lightgbm.Booster(model_str=Path(os.environ["BENCH_TREES"]).read_text())


class Request(BaseModel):
    """Rows of features."""

    rows: list[list[float | None]]


class Answer(BaseModel):
    """A score a row."""

    scores: list[float]


@app.post("/predict")
def predict(request: Request) -> Answer:
    """Scores."""
    return Answer(scores=model.predict(np.array(request.rows, dtype=float)).tolist())

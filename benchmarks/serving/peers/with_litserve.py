"""LitServe with LightGBM."""

import os
from pathlib import Path
from typing import Any

import lightgbm
import litserve
import numpy as np


class Scores(litserve.LitAPI):  # type: ignore[misc]
    """Rows in, scores out."""

    def setup(self, device: str) -> None:
        self.model = lightgbm.Booster(model_str=Path(os.environ["BENCH_TREES"]).read_text())

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.array(request["rows"], dtype=float)

    def predict(self, rows: Any) -> Any:
        return self.model.predict(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"scores": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Scores(), accelerator="cpu", workers_per_device=int(os.environ["BENCH_WORKERS"])
    )
    server.run(
        port=int(os.environ["BENCH_PORT"]), host="127.0.0.1", generate_client_file=False, log_level="warning"
    )

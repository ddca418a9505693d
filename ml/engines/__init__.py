"""The engines a declaration can name."""

from collections.abc import Mapping

from ml.engines.lightgbm import LightGBM
from ml.engines.linear import Linear
from ml.engines.protocol import Engine

ENGINES: Mapping[str, Engine] = {engine.name: engine for engine in (LightGBM(), Linear())}
BASELINE = Linear.name  # what every evaluation shows beside the candidate

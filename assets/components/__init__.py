"""The component types that a `defs.yaml` may name."""

from assets.components.alerts import Alerts
from assets.components.dbt_tables import DbtTables
from assets.components.landed_source import LandedSource
from assets.components.prediction_model import PredictionModel

__all__ = ["Alerts", "DbtTables", "LandedSource", "PredictionModel"]

"""Whom the project tells when something is wrong, declared once; a sensor looks and tells.

What is wrong is `assets.alerting`'s, how often it is told `ml.alerts`'.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from assets.alerting import alerts
from assets.components.prediction_model import declared_models
from ml.alerts import AlertsPlan, tell
from ml.errors import AlertNotDelivered
from ml.settings import Settings

INTERVAL_S = 30


class Alerts(dg.Component):
    """The receivers of alerts; `attributes` are an AlertsPlan."""

    def __init__(self, plan: AlertsPlan) -> None:
        self._plan = plan

    @classmethod
    def get_model_cls(cls) -> type[AlertsPlan]:
        return AlertsPlan

    @classmethod
    def load(cls, attributes: AlertsPlan | None, context: dg.ComponentLoadContext) -> "Alerts":
        return cls(attributes or AlertsPlan())

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return dg.Definitions(sensors=[alerts_sensor(self._plan)])


def alerts_sensor(plan: AlertsPlan) -> dg.SensorDefinition:
    """Looks for what is wrong and tells it to the declared receivers, grouped, and again after a while."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=alerts_sensor.__doc__,
        asset_selection=dg.AssetSelection.all(),
    )
    def _alerts(context: dg.SensorEvaluationContext) -> Iterator[dg.SkipReason]:
        settings = Settings.from_env()
        models = {one.name: one.declaration for one in declared_models(settings.project)}
        graph = context.repository_def.asset_graph
        found = list(alerts(context.instance, graph, settings, models))
        try:
            message = tell(settings, plan, found, datetime.now(UTC))
        except AlertNotDelivered as failure:
            yield dg.SkipReason(str(failure))
            return
        told = f"Told:\n{message.text}" if message else "Nothing new to tell."
        yield dg.SkipReason(f"{len(found)} alerts stand. {told}")

    return _alerts

"""The BentoML service: the packed model by name, its typed API, health, metrics and image.

Everything about the model comes from the packed bundle; the work is done behind `Endpoint`.
"""

import json
import logging
import os
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import bentoml
import msgspec
from bentoml.exceptions import InvalidArgument
from bentoml.images import Image

from services.access import Access
from services.lean import keep_out_unused
from services.settings import ServingSettings

if TYPE_CHECKING:
    from services.endpoint import Endpoint

keep_out_unused()
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
SETTINGS = ServingSettings.from_env()
CONTRACT = json.loads((SETTINGS.packed / "bundle" / "contract.json").read_text())
REQUIREMENTS = (SETTINGS.packed / "services" / "requirements.lock").read_text()
Access.of(SETTINGS.host, SETTINGS.keys, SETTINGS.keys_named)  # without keys that are needed nothing starts
_TLS: dict[str, Any] = {"enabled": SETTINGS.tls is not None}
if SETTINGS.tls:
    _TLS |= {"certfile": str(SETTINGS.tls[0]), "keyfile": str(SETTINGS.tls[1])}


class PredictionService(bentoml.Service):  # type: ignore[misc]  # BentoML is not typed for strict checking
    """A BentoML service whose /predict and /model are answered at the edge, before BentoML's middlewares."""

    @cached_property
    def endpoint(self) -> "Endpoint":
        """Loaded on first use: the process that only starts workers never needs it."""
        from services.endpoint import Endpoint
        from services.metrics import Metrics

        return Endpoint(SETTINGS, Metrics())

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application behind the edge."""
        from services.connection import listen_at_once
        from services.edge import Edge

        self.endpoint.start()
        # BentoML counts and logs requests itself; uvicorn would make a line for each that nobody reads.
        logging.getLogger("uvicorn.access").propagate = False
        edge = Edge(super().to_asgi(is_main), self.endpoint)
        listen_at_once(edge)
        return edge

    @property
    def openapi_spec(self) -> Any:
        """The document of what serves now."""
        from services.openapi import document

        own, models = self.endpoint.serving, self.endpoint.models
        others = [models[name].serving for name in sorted(models) if name != own.bundle.model]
        return document(own, others)


@bentoml.service(
    name=CONTRACT["model"],
    service_class=PredictionService,
    image=Image(python_version="3.11", lock_python_packages=False, python_requirements=REQUIREMENTS),
    workers=SETTINGS.workers,
    http={"host": SETTINGS.host, "port": SETTINGS.port},
    ssl=_TLS,
)
class Predictor:
    """Answers with what the model was trained to predict; `GET /model` says what it is."""

    bento_service: PredictionService

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    def predict(self, instances: list[dict[str, Any]]) -> dict[str, Any]:
        """Predict for each instance, in order; over HTTP the edge answers, this a call in process."""
        reply = self.bento_service.endpoint.predict(msgspec.json.encode({"instances": instances}))
        if reply.status != HTTPStatus.OK:
            raise InvalidArgument(reply.body.decode())
        answer: dict[str, Any] = msgspec.json.decode(reply.body)
        return answer

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """End the endpoint's threads."""
        self.bento_service.endpoint.close()

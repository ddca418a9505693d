"""`headwater predict`: ask the endpoint, as any client would, and print what it answers.

Where keys are needed, HEADWATER_KEY is shown. Fields, types and the example come from the endpoint's own
description; nothing here knows the model.
"""

import json
import os
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

import click

from headwater import services
from headwater.console import Voice
from headwater.errors import NothingServes, RequestRefused

Instance = dict[str, Any]


def ask(fields: tuple[str, ...], file: IO[str] | None, model: str | None, *, as_json: bool) -> None:
    """Send instances from a file, or the endpoint's example with some fields changed; print the answer.

    To a named model, or to the one that answers at /predict.
    """
    changes, path = dict(_field(text) for text in fields), f"/predict/{model}" if model else "/predict"
    instances = _instances(json.load(file)) if file else [_example(path) | changes]
    answer = call(path, {"instances": instances})
    voice = Voice(as_json, answer)
    voice.say(
        f"model [bold]{answer['model']['name']}[/] {answer['model']['version']}, "
        f"features as of {answer['features_as_of']}"
    )
    for instance, prediction in zip(instances, answer["predictions"], strict=True):
        asked = "  ".join(f"{name}={value}" for name, value in instance.items() if value is not None)
        voice.say(f"[bold]{_told(prediction)}[/]  {asked}")
        for warning in prediction.get("warnings", ()):
            voice.say(f"        [yellow]{warning['column']} {warning['value']!r} {warning['message']}[/]")
    voice.finish()


def _told(prediction: dict[str, Any]) -> str:
    """The score, the predicted number, or the class with its probability."""
    told = prediction.get("prediction", prediction.get("score"))
    if "probabilities" in prediction:
        return f"{told} ({prediction['probabilities'][told]:.4f})"
    return f"{told:.4f}"


def _instances(told: Any) -> list[Instance]:
    """A list of instances, one instance, or a whole request."""
    if isinstance(told, dict) and "instances" in told:
        told = told["instances"]
    return told if isinstance(told, list) else [told]


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"'{text}' is not FIELD=VALUE", param_hint="FIELD=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _example(path: str) -> Instance:
    described = call("/docs.json", None)
    if path not in described["paths"]:  # it is the packed model by its own name, or none
        named = call(path.replace("/predict", "/model", 1), None)["model"]["name"]
        path = "/predict" if path.endswith(f"/{named}") else path
    content = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    example = content.get("example") or next(iter(content["examples"].values()))["value"]
    return dict(example["instances"][0])


def call(path: str, body: Any) -> Any:
    """What the endpoint answers to a GET, or to a POST of a body. Raises RequestRefused or NothingServes."""
    url = services.url(services.ENDPOINT) + path
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("HEADWATER_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with services.asked(Request(url, data, headers), 30) as response:  # noqa: S310
            return json.load(response)
    except HTTPError as refusal:
        raise RequestRefused(
            status=refusal.code, problem=_problem(refusal.read().decode(errors="replace"))
        ) from refusal
    except (URLError, OSError) as cause:
        raise NothingServes(url=url, cause=str(getattr(cause, "reason", cause))) from cause


def _problem(body: str) -> str:
    try:
        problem = json.loads(body)
    except json.JSONDecodeError:
        return body
    listed = [f"{error.get('field')}: {error.get('message')}" for error in problem.get("errors", ())]
    return "; ".join(listed) or str(problem.get("detail", body))

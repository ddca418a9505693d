"""The OpenAPI document of an endpoint, from the contract of what serves and an example it really answered.

Pure: no serving, no BentoML.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml

from ml.contract import Contract
from services.arrow_body import MEDIA_TYPE as ARROW
from services.columns import as_schema
from services.problems import MEDIA_TYPE, Kind
from services.request_schema import RequestSchema
from services.serving import Serving

_MORE = {
    "explain": "Tell beside each prediction what every feature adds to it",
    "features": "Tell beside each prediction the values of its features, and what the model got of them",
}
Example = tuple[Mapping[str, Any], Mapping[str, Any]]
_PREDICTING = [kind for kind in Kind if kind not in (Kind.UNKNOWN_PATH, Kind.UNKNOWN_ANSWER, Kind.NOT_READY)]
_FLAG = {"type": "boolean", "default": False}
_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}
_SCHEMAS = "#/components/schemas/"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"{_SCHEMAS}{name}"}


def _get(summary: str, media_type: str, tag: str) -> dict[str, Any]:
    content = {media_type: {"schema": {"type": "object"} if media_type.endswith("json") else _TEXT}}
    responses = {"200": {"description": summary, "content": content}}
    return {"tags": [tag], "summary": summary, "responses": responses}


_RECEIPT = {
    "tags": ["operation"],
    "summary": "What an answer rests on, down to the raw files, each step verified",
    "parameters": [
        {
            "name": "answer_id",
            "in": "path",
            "required": True,
            "description": "The `id` of the answer",
            "schema": {"type": "string", "example": "20260131-0f3a9c2e-00001a"},
        }
    ],
    "responses": {
        "200": {
            "description": "The answer, and the steps down from it",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "404": {
            "description": "There is no such answer in the prediction log",
            "content": {MEDIA_TYPE: {"schema": _ref("Problem")}},
        },
    },
}


_READY = _get("Whether its features are no older than declared", "text/plain", "operation")
_READY["responses"]["503"] = {
    "description": "They are older",
    "content": {MEDIA_TYPE: {"schema": _ref("Problem")}},
}
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "Needed beyond this machine, or where the endpoint was given a file of keys",
}


class Document(dict[str, Any]):
    """The document as BentoML wants one: a mapping that its build writes as YAML and its route as JSON."""

    def asdict(self) -> dict[str, Any]:
        """Itself."""
        return self


yaml.add_representer(Document, yaml.Dumper.represent_dict)


def document(serving: Serving, others: Iterable[Serving] = ()) -> Document:
    """OpenAPI 3.0.3, as plain JSON types; `others` answer at /predict/<model>."""
    contract = serving.bundle.contract
    paths, schemas = _of_model(serving), _schemas(serving)
    for other in others:
        name = other.bundle.model
        own = _schemas(other)
        schemas |= {f"{name}.{schema}": _within(name, told) for schema, told in own.items()}
        paths |= {
            f"{path}/{name}": _within(name, told) for path, told in _of_model(other, f"_{name}").items()
        }
    paths |= {
        "/receipt/{answer_id}": {"get": _RECEIPT},
        "/livez": {"get": _get("Is the process alive", "text/plain", "operation")},
        "/readyz": {"get": _READY},
        "/metrics": {"get": _get("Metrics for Prometheus", "text/plain", "operation")},
    }
    built: dict[str, Any] = msgspec.to_builtins(
        {
            "openapi": "3.0.3",
            "info": {
                "title": contract.model,
                "version": serving.bundle.version[:12],
                "description": _said(contract),
            },
            "servers": [{"url": "."}],
            "paths": paths,
            "components": {"schemas": schemas, "securitySchemes": {"key": _KEY}},
            "security": [{}, {"key": []}],
        }
    )
    return Document(built)


def _of_model(serving: Serving, suffix: str = "") -> dict[str, Any]:
    """The paths of a model; `suffix` tells its operations from other models'."""
    contract = serving.bundle.contract
    known = _get("What serves, since when, and how old its features are", "application/json", contract.model)
    of = f"Predict {contract.label}"
    entities = f"{of} for one or more of: {contract.entity}"
    asked = _predict(contract, entities, ("Request", "Answer"), _with_id(serving.example))
    told = f"{of} from the values of its features, for one or more rows (or as an Arrow stream, {ARROW})"
    given = _predict(contract, told, ("FeatureRequest", "Scores"), _with_id(serving.example_score))
    return {
        "/predict": {"post": asked | {"operationId": f"predict{suffix}"}},
        "/score": {"post": given | {"operationId": f"score{suffix}"}},
        "/model": {"get": known},
    }


def _with_id(example: Example) -> Example:
    return example[0], {"id": "20260131-0f3a9c2e-00001a", **example[1]}


def _within(model: str, told: Any) -> Any:
    """The same, with references to the model's own schemas."""
    if isinstance(told, Mapping):
        return {name: _within(model, value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [_within(model, value) for value in told]
    if isinstance(told, str) and told.startswith(_SCHEMAS):
        return f"{_SCHEMAS}{model}.{told.removeprefix(_SCHEMAS)}"
    return told


def _predict(
    contract: Contract,
    summary: str,
    schemas: tuple[str, str],
    example: Example,
) -> dict[str, Any]:
    request, response = example
    titles: dict[str, list[str]] = {}
    for kind in _PREDICTING:
        titles.setdefault(str(kind.status), []).append(kind.title)
    refusal = {"content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
    return {
        "tags": [contract.model],
        "summary": summary,
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": told,
                "schema": _FLAG,
            }
            for name, told in _MORE.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": _content(schemas[0], request)}},
        "responses": {
            "200": {
                "description": "A prediction an instance, in order",
                "content": {"application/json": _content(schemas[1], response)},
            },
            **{status: {"description": "; or: ".join(told), **refusal} for status, told in titles.items()},
        },
    }


def _content(schema: str, example: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": _ref(schema), "example": example}


def _schemas(serving: Serving) -> dict[str, Any]:
    contract = serving.bundle.contract
    return {
        "Instance": _instance(serving.entities.schema),
        "Request": _request(serving.entities.schema, "Instance"),
        "FeatureValues": _instance(serving.given.schema),
        "FeatureRequest": _request(serving.given.schema, "FeatureValues"),
        "Warning": _object({"column": _TEXT, "value": {}, "message": _TEXT}, ["column", "message"]),
        "Prediction": _prediction(contract),
        "Answer": _answer("Prediction"),
        "Explanation": _explanation(),
        "Score": _object(
            {**_outputs(contract), **_more(contract)},
            list(_outputs(contract)),
        ),
        "Scores": _answer("Score"),
        "Problem": _problem(),
    }


def _instance(schema: RequestSchema) -> dict[str, Any]:
    return _object(
        {column.name: as_schema(column) for column in schema.columns},
        [column.name for column in schema.columns if column.is_required],
    )


def _request(schema: RequestSchema, item: str) -> dict[str, Any]:
    limits = {"minItems": 1, "maxItems": schema.max_instances}
    instances = {"type": "array", **limits, "items": _ref(item)}
    return _object({"instances": instances}, ["instances"])


def _said(contract: Contract) -> str:
    of = f"`{contract.label}` of each {contract.entity} asked for"
    return {
        "binary": f"The probability of {of}.",
        "multiclass": f"The most probable {of}, and the probability of every class.",
        "ranking": f"A score by which those asked for are ordered by {of}, the greatest first.",
        "regression": f"The {of}, predicted.",
    }[contract.task]


def _prediction(contract: Contract) -> dict[str, Any]:
    outputs = _outputs(contract)
    return _object(
        {
            contract.key: {**_TEXT, "nullable": True},
            "prediction_at": {**_TIME, "description": "Nothing known later was used"},
            **outputs,
            **_more(contract),
        },
        ["prediction_at", *outputs],
    )


def _more(contract: Contract) -> dict[str, Any]:
    """What a prediction tells when there is a reason to, or when it is asked for."""
    number = {"type": "number", "nullable": True}
    return {
        "warnings": {"type": "array", "items": _ref("Warning")},
        "features": {**_object({one.name: {"nullable": True} for one in contract.features}, [])},
        "coded": {"type": "array", "items": number, "description": "In the order of the model's features"},
        "explanation": _ref("Explanation"),
    }


def _explanation() -> dict[str, Any]:
    number = {"type": "number"}
    unit = {**_TEXT, "nullable": True}
    part = {"feature": _TEXT, "value": {"nullable": True}, "unit": unit, "adds": number, "says": _TEXT}
    parts = {"type": "array", "items": _object(part, list(part))}
    told = {"of": _TEXT, "base": number, "raw": number, "parts": parts}
    return _object(told, list(told))


def _outputs(contract: Contract) -> dict[str, Any]:
    """What a prediction tells, by its task."""
    share = {"type": "number", "minimum": 0, "maximum": 1}
    if contract.task == "binary":
        return {"score": {**share, "description": f"Probability of {contract.label}"}}
    if contract.task == "regression":
        return {"prediction": {"type": "number", "description": f"Predicted {contract.label}"}}
    if contract.task == "ranking":
        return {"score": {"type": "number", "description": f"The greater, the sooner by {contract.label}"}}
    classes = list(contract.classes)
    told = {**_TEXT, "enum": classes, "description": f"The most probable {contract.label}"}
    each = _object(dict.fromkeys(classes, share), classes)
    return {"prediction": told, "probabilities": {**each, "description": "Of every class; they sum to 1"}}


def _answer(item: str) -> dict[str, Any]:
    model = _object({"name": _TEXT, "version": _TEXT}, ["name", "version"])
    as_of = {**_TIME, "nullable": True, "description": "Time of the newest fact the features know"}
    answer_id = {**_TEXT, "description": "Of this answer in the prediction log"}
    predictions = {"type": "array", "items": _ref(item)}
    return _object(
        {"id": answer_id, "model": model, "features_as_of": as_of, "predictions": predictions},
        ["id", "model", "features_as_of", "predictions"],
    )


def _problem() -> dict[str, Any]:
    error = _object({"field": _TEXT, "value": {}, "message": _TEXT, "allowed": {}}, ["field", "message"])
    kinds = {"type": "string", "enum": [kind.urn for kind in Kind]}
    number = {"type": "integer"}
    return _object(
        {
            "type": kinds,
            "title": _TEXT,
            "status": number,
            "detail": _TEXT,
            "n_errors": number,
            "errors": {"type": "array", "items": error},
        },
        ["type", "title", "status", "detail", "n_errors", "errors"],
    )


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema

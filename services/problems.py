"""What a caller is told whose request can't be answered: problem details (RFC 9457), nothing internal.

No checking is done here, and no HTTP spoken.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 50
_MAX_VALUE_CHARACTERS = 200


class Kind(Enum):
    """The ways a request can fail: slug, HTTP status and title."""

    NOT_JSON = ("not-json", 400, "The body is not JSON")
    NOT_ARROW = ("not-arrow", 400, "The body is not an Arrow stream")
    NO_KEY = ("no-key", 401, "A key is needed")
    NOT_ALLOWED = ("not-allowed", 403, "The key is not for this")
    UNKNOWN_PATH = ("unknown-path", 404, "There is nothing at this path")
    UNKNOWN_MODEL = ("unknown-model", 404, "There is no such model here")
    WRONG_METHOD = ("wrong-method", 405, "This path does not take this method")
    TOO_LARGE = ("body-too-large", 413, "The body is too large")
    WRONG_MEDIA_TYPE = ("wrong-media-type", 415, "The body must be declared as JSON")
    INVALID = ("invalid-instances", 422, "The instances do not fit the model's contract")
    NOT_COMPUTED = ("features-not-computed", 422, "The features can't be computed from these values")
    NOT_EXPLAINED = ("not-explained", 422, "This model's scores can't be taken apart")
    BAD_QUERY = ("invalid-query", 422, "The query is not what this path takes")
    UNKNOWN_ANSWER = ("unknown-answer", 404, "There is no such answer in the prediction log")
    TOO_OFTEN = ("too-often", 429, "The key asks too often")
    OUT_OF_REACH = ("out-of-reach", 409, "The features do not cover the time asked for")
    NOT_READY = ("not-ready", 503, "The features are older than declared")
    FAILED = ("failed", 500, "The endpoint failed; the reason is in its log")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.urn = f"urn:headwater:problem:{slug}"
        self.status = status
        self.title = title


@dataclass(frozen=True)
class FieldError:
    """One thing wrong: where (`instances[3].origin_id`), why, the value found and what is allowed."""

    field: str
    message: str
    value: Any = msgspec.UNSET
    allowed: Any = msgspec.UNSET

    def as_json(self) -> dict[str, Any]:
        """What is not set is left out; a long value is cut."""
        told = {
            "field": self.field,
            "value": _cut(self.value),
            "message": self.message,
            "allowed": self.allowed,
        }
        return {name: value for name, value in told.items() if value is not msgspec.UNSET}


class RequestRefused(Exception):
    """A request answered with problem details; `errors` is empty when no field is to blame.

    The caller may try again after `retry_after_s`.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        errors: tuple[FieldError, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.kind = kind
        self.detail = detail
        self.errors = errors

    @classmethod
    def for_fields(cls, kind: Kind, errors: tuple[FieldError, ...]) -> "RequestRefused":
        """Blame fields; the detail repeats the first error and counts the others."""
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return cls(kind, f"{errors[0].field}: {errors[0].message}{more}", errors)

    def as_json(self) -> dict[str, Any]:
        """The body; at most MAX_ERRORS errors are listed, and `n_errors` counts all that were found."""
        return {
            "type": self.kind.urn,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "n_errors": len(self.errors),
            "errors": [error.as_json() for error in self.errors[:MAX_ERRORS]],
        }


def _cut(value: Any) -> Any:
    if value is msgspec.UNSET or value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    cut = len(text) > _MAX_VALUE_CHARACTERS
    return f"{text[:_MAX_VALUE_CHARACTERS]}…" if cut else value

"""JSON text whose bytes depend on the values alone, so that its digest names them.

No files are read or written here, and nothing is known about what is described.
"""

import hashlib
import json
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))


def plain(value: Any) -> Any:
    """The value (a dataclass, a pydantic model, or JSON types) as plain JSON types; dates as ISO text."""
    return _adapter(cast(Hashable, type(value))).dump_python(value, mode="json")


def dumps(value: Any) -> str:
    """Canonical JSON text: sorted keys, one value a line, UTF-8 as it is; NaN and infinity are refused."""
    return json.dumps(plain(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def loads(kind: type[T], text: str | bytes) -> T:
    """Read what `dumps` wrote back into `kind`; raises pydantic.ValidationError when it doesn't fit."""
    parsed: T = _adapter(cast(Hashable, kind)).validate_json(text)
    return parsed


def digest(content: str | bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()

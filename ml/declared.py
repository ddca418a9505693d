"""What all parts of a declaration have in common: they are frozen and closed, and say what is allowed.

What a part holds is its own.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ml.engines import ENGINES
from ml.engines.protocol import ParameterType
from ml.errors import Problem, nearest

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class Declared(BaseModel):
    """A part of a declaration: frozen, and closed to names it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def one_of(allowed: Collection[str], what: str) -> AfterValidator:
    """A check that the value is among the allowed ones, which names the nearest."""

    def check(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"unknown {what} {value!r}. {nearest(value, allowed)}")
        return value

    return AfterValidator(check)


def parameter_problems(field: str, engine: str, given: Mapping[str, Iterable[object]]) -> Iterator[Problem]:
    """What is wrong with parameters of an engine, and with the values given for each, under a `field`."""
    allowed = ENGINES[engine].parameters
    for name, values in given.items():
        if name not in allowed:
            told = f"{engine} takes no parameter {name!r} here. {nearest(name, allowed)}"
            yield Problem(f"{field}.{name}", None, told)
            continue
        kind = allowed[name]
        for value in values:
            if not _is_a(value, kind):
                yield Problem(f"{field}.{name}", None, f"{name} must be {_WORDS[kind]}, not {value!r}")


def _is_a(value: object, kind: ParameterType) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))

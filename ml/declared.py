"""What all parts of a declaration have in common: they are frozen and closed, and say what is allowed.

What a part holds is its own.
"""

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ml.engines import ENGINES
from ml.engines.protocol import ParameterType
from ml.errors import nearest

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


def unknown_parameters(engine: str, names: Collection[str]) -> str | None:
    """What is wrong with names of parameters that an engine does not have; None when all are known."""
    allowed = ENGINES[engine].parameters
    hints = [f"{name!r}: {nearest(name, allowed)}" for name in names if name not in allowed]
    return f"parameters that {engine} does not take here. {' '.join(hints)}" if hints else None


def unfit_value(engine: str, name: str, value: object) -> str | None:
    """What is wrong with a value of a known parameter; None when it has the parameter's type."""
    kind = ENGINES[engine].parameters[name]
    return None if _is_a(value, kind) else f"{name} must be {_WORDS[kind]}, not {value!r}"


def _is_a(value: object, kind: ParameterType) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))

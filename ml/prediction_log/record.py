"""What is logged of one answer, and how it is written: MessagePack, floats to the bit, names once a segment.

Where it is written, and when, is said elsewhere.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from ml.online_plan.kinds import Kind

Route = Literal["predict", "score"]
FORMAT = 2


class Started(msgspec.Struct, array_like=True, tag="started", frozen=True):
    """The first frame of a segment: who writes it, and the greatest count written before it."""

    process: str
    segment: int
    after_count: int
    at_us: int
    host: str
    pid: int
    format: int = FORMAT


class Shape(msgspec.Struct, array_like=True, tag="shape", frozen=True):
    """Names and kinds of the values in rows of answers with its number; `features` are places of the model's.

    Kinds are those of `ml.online_plan.kinds`: times are microseconds since 1970, dates days.
    """

    number: int
    model: str
    version: str
    route: Route
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    features: tuple[int, ...]
    classes: tuple[str, ...]


class Answered(msgspec.Struct, array_like=True, tag="answered", frozen=True, gc=False):
    """One answer: the request's body, the rows the model was given with what came with them, and the scores.

    Times in microseconds: `at_us` since 1970, `stages` of each stage in the order of `STAGES`. Scores are one
    a row, of multiclass one a class. Rows that came as an Arrow stream are kept as it. `edition` and
    `as_of_us` say what the features were looked up in.
    """

    id: str
    at_us: int
    shape: int
    edition: int
    as_of_us: int | None
    request: bytes
    rows: Sequence[Sequence[Any]] | bytes
    scores: Sequence[Any]
    stages: Sequence[int]


class Batch(msgspec.Struct, array_like=True, tag="batch", frozen=True):
    """Answers that were written at once."""

    answers: list[Answered]


class _Encoded(msgspec.Struct, array_like=True, tag="batch", frozen=True):
    """The same of answers that are encoded already."""

    answers: list[msgspec.Raw]


class Ended(msgspec.Struct, array_like=True, tag="ended", frozen=True):
    """The last frame of a segment that was ended on purpose: the count of the last answer given by then.

    `n_dropped` answers were not written because the disk was full or too slow.
    """

    count: int
    n_dropped: int
    at_us: int


STAGES = ("parse", "features", "score")
Payload = Started | Shape | Answered | Batch | Ended
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Payload] = msgspec.msgpack.Decoder(Payload)


def encode(payload: Payload) -> bytes:
    """As MessagePack."""
    return _ENCODER.encode(payload)


def encode_batch(answers: Sequence[bytes]) -> bytes:
    """A `Batch` of answers as `encode` gives them."""
    return _ENCODER.encode(_Encoded([msgspec.Raw(one) for one in answers]))


def decode(data: bytes) -> Payload:
    """Raises msgspec.DecodeError for what `encode` did not give."""
    return _DECODER.decode(data)

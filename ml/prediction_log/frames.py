"""Frames in a file that is only appended to: each with its length and a checksum, so that a torn one shows.

What is in a frame is the record's matter.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<II")
MAX_BYTES = 2**28


def frame(payload: bytes) -> bytes:
    """A payload as it is appended."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


@dataclass(frozen=True)
class Frames:
    """The payloads of a file as far as they are whole, and how many bytes after them are not."""

    payloads: tuple[bytes, ...]
    n_torn_bytes: int


def read_frames(file: Path) -> Frames:
    """Read to the first frame that is not whole: what comes after it can't be told apart."""
    data = file.read_bytes()
    payloads = []
    end = 0
    for start, payload in _whole(data):
        payloads.append(payload)
        end = start + _HEAD.size + len(payload)
    return Frames(tuple(payloads), len(data) - end)


def _whole(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if length > MAX_BYTES or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield at, payload
        at += _HEAD.size + length

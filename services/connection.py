"""A connection that answers small, plain requests where their bytes arrive; others go uvicorn's usual way.

ASGI's task, event and messages for each request take as long as a row takes to be looked up and scored. What
to reply is the edge's matter.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.edge import Edge, headers_of
from services.endpoint import Reply

_REQUEST = re.compile(rb"POST (/(?:predict|score))(?:/(\w+))? HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)[ \t]*")
_LENGTH = re.compile(rb"[0-9]{1,6}")
_END = b"\r\n\r\n"
_LONGEST_HEAD = 2048
# Fields that change how a body is read, or what becomes of the connection.
_NOT_PLAIN = frozenset((b"content-encoding", b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade"))


class Plain(NamedTuple):
    """What the head of a plain request says: path, model if named, length of the body, and all its fields."""

    path: str
    model: str | None
    length: int
    fields: tuple[tuple[bytes, bytes], ...]


@lru_cache(1024)
def plain(head: bytes) -> Plain | None:
    """Read a head, without the empty line at its end; None unless it asks for predictions and no more."""
    first, *lines = head.split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    fields = [_FIELD.fullmatch(line) for line in lines]
    if not request or not all(fields):
        return None
    told = tuple((field[1].lower(), field[2]) for field in fields if field)
    names = [name for name, _ in told]
    known = dict(told)
    length = known.get(b"content-length", b"")
    is_plain = (
        len(names) == len(known)
        and (known.pop(b"connection", b"keep-alive").lower() == b"keep-alive")
        and not _NOT_PLAIN & known.keys()
        and known.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"application/json"
        and _LENGTH.fullmatch(length)
    )
    model = request[2].decode() if request[2] else None
    return Plain(request[1].decode(), model, int(length), told) if is_plain else None


def connection(edge: Edge) -> type[HttpToolsProtocol]:
    """The class of connections to an edge."""

    class Connection(HttpToolsProtocol):
        """uvicorn's, which looks first whether what has come is one whole plain request."""

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._is_between = True  # requests: the parser has none that it has seen in part
            self._begun = b""  # a plain head, and what has come of its body
            self._answered_at = 0.0
            self._defaults: Any = None
            self._start = b""

        def data_received(self, data: bytes) -> None:
            """Bytes of a request, or of several."""
            if self._begun:
                data, self._begun = self._begun + data, b""
            if not (self._is_between and self._taken(data)):
                super().data_received(data)

        def shutdown(self) -> None:
            """The server ends; a request of which the head has come is still answered."""
            if self._begun:
                data, self._begun = self._begun, b""
                super().data_received(data)
            super().shutdown()

        def on_message_begin(self) -> None:
            """The parser has seen the first byte of a request."""
            self._is_between = False
            super().on_message_begin()

        def on_message_complete(self) -> None:
            """The parser has seen the last one."""
            self._is_between = True
            super().on_message_complete()

        def timeout_keep_alive_handler(self) -> None:
            """Time is up, unless something was answered at once: to move the timer each time costs more."""
            left = self._answered_at + self.timeout_keep_alive - self.loop.time()
            if left > 0:
                self._keep_alive(left)
            else:
                super().timeout_keep_alive_handler()

        def _taken(self, data: bytes) -> bool:
            """Whether it was answered, or is kept until the rest of its body has come."""
            end = data.find(_END, 0, _LONGEST_HEAD)
            request = plain(data[:end]) if end > 0 else None
            if request is None or request.length > edge.small or not self._is_free():
                return False
            start = end + len(_END)
            missing = start + request.length - len(data)
            if missing > 0:
                self._unset_keepalive_if_required()
                self._begun = data
            elif missing == 0:
                reply = edge.at_once(request.path, request.model, request.fields, data[start:])
                self.transport.write(self._written(reply))
                self.server_state.total_requests += 1
                self._answered_at = self.loop.time()
                if self.timeout_keep_alive_task is None:
                    self._keep_alive(self.timeout_keep_alive)
            return missing >= 0

        def _is_free(self) -> bool:
            """Nothing is being answered on it, nothing waits, and the caller takes what he is sent."""
            is_answered = self.cycle is None or self.cycle.response_complete
            return is_answered and not (
                self.pipeline or self.flow.write_paused or self.transport.is_closing()
            )

        def _keep_alive(self, seconds: float) -> None:
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

        def _written(self, reply: Reply) -> bytes:
            defaults = self.server_state.default_headers
            if reply.status != HTTPStatus.OK:
                return (
                    STATUS_LINE[reply.status] + _lines([*defaults, *headers_of(reply)]) + b"\r\n" + reply.body
                )
            if defaults is not self._defaults:  # there are others each second: they tell the time
                self._defaults = defaults
                same = [one for one in headers_of(reply) if one[0] != b"content-length"]
                self._start = STATUS_LINE[reply.status] + _lines([*defaults, *same]) + b"content-length: "
            return b"%b%d\r\n\r\n%b" % (self._start, len(reply.body), reply.body)

    return Connection


def listen_at_once(edge: Edge) -> None:
    """From now on servers of this process make such connections, where they would choose uvicorn's own."""
    HTTP_PROTOCOLS["auto"] = connection(edge)  # type: ignore[assignment]  # which need not be a name


def _lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in fields)

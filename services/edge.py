"""The ASGI edge: answers people and predictions before BentoML's middlewares, leaves the rest to it.

Speaks HTTP only; what to reply is the endpoint's matter.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from ml.access_keys import Scope as AccessScope
from ml.errors import nearest
from services.arrow_body import MEDIA_TYPE as ARROW
from services.endpoint import Endpoint, Reply
from services.problems import FieldError, Kind, RequestRefused
from services.serving import NOTHING_MORE, More

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG = logging.getLogger("bentoml.headwater")
_CSP = (
    b"default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; frame-ancestors 'none'"
)
# BentoML's own page at / loads a tracker from elsewhere; ours shows the same document and loads nothing.
_FOLDER = Path(__file__).parent / "page"
_PAGES = {
    path: Reply(
        200, f"{kind}; charset=utf-8", (_FOLDER / name).read_bytes(), ((b"content-security-policy", _CSP),)
    )
    for path, name, kind in (
        ("/", "index.html", "text/html"),
        ("/docs", "docs.html", "text/html"),
        ("/page.css", "page.css", "text/css"),
        ("/page.js", "page.js", "text/javascript"),
        ("/parts.js", "parts.js", "text/javascript"),
        ("/loop.js", "loop.js", "text/javascript"),
    )
}


@dataclass(frozen=True)
class Rule:
    """What a path takes, and the scope that a key must have for it, where keys are needed."""

    method: str
    scope: AccessScope | None


_OURS = {
    **dict.fromkeys(_PAGES, Rule("GET", None)),
    "/readyz": Rule("GET", None),
    "/predict": Rule("POST", "predict"),
    "/score": Rule("POST", "predict"),
    "/model": Rule("GET", "predict"),
    "/coming": Rule("GET", "predict"),
    "/about": Rule("GET", "predict"),
    "/receipt": Rule("GET", "receipts"),
}
# And the name of a model, without which it is the packed one; or the id of an answer.
_NAMED = ("/predict/", "/score/", "/model/", "/coming/", "/about/", "/readyz/", "/receipt/")
_BENTOMLS = {
    "/livez": Rule("GET", None),
    "/healthz": Rule("GET", None),
    "/docs.json": Rule("GET", "predict"),
    "/schema.json": Rule("GET", "predict"),
    "/metrics": Rule("GET", "admin"),
}
_STATIC, _STATIC_RULE = "/static_content/", Rule("GET", None)
# Bodies to here are answered where they arrive: a thread would take longer to wake than a few rows to score.
_SMALL_BYTES = 4096
_SIZE_LIMIT_DIGITS = 15


class Disconnected(Exception):
    """The caller went away before his request was whole."""


class Edge:
    """An ASGI application around BentoML's."""

    def __init__(self, app: App, endpoint: Endpoint) -> None:
        self._app = app
        self._endpoint = endpoint
        self.small = min(_SMALL_BYTES, endpoint.settings.max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rule, path, named = _ruled(scope["path"])
        try:
            if rule is None:
                detail = f'Nothing is at "{path[:100]}". {nearest(path[:100], [*_OURS, *_BENTOMLS])}'
                raise RequestRefused(Kind.UNKNOWN_PATH, detail)
            if rule.scope and self._endpoint.access.is_needed:
                self._endpoint.access.check(rule.scope, scope["headers"])
            if path not in _OURS:
                if path == "/metrics":
                    self._endpoint.count()
                await self._app(scope, receive, send)
                return
            reply = await self._reply(path, rule, named, scope, receive)
        except RequestRefused as refusal:
            reply = self._endpoint.refused(refusal)
        except Disconnected:
            return
        except Exception:  # noqa: BLE001  the caller learns that it failed, the log why
            reply = self._failed(path)
        await _send(reply, rule.method if rule else "GET", send)

    def at_once(
        self, path: str, named: str | None, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Reply:
        """The reply to a JSON body of at most `small` bytes at /predict or /score that asks for no more.

        Never raises; `named` is the model in the path.
        """
        endpoint = self._endpoint
        try:
            if endpoint.access.is_needed:
                endpoint.access.check("predict", headers)
            if named is not None:
                endpoint.refuse_unknown(named)
            return (endpoint.predict if path == "/predict" else endpoint.score)(body, named)
        except RequestRefused as refusal:
            return endpoint.refused(refusal)
        except Exception:  # noqa: BLE001  the caller learns that it failed, the log why
            return self._failed(path)

    def _failed(self, path: str) -> Reply:
        _LOG.exception("a request to %s failed", path)
        return self._endpoint.refused(RequestRefused(Kind.FAILED, "This is not the fault of the request."))

    async def _reply(self, path: str, rule: Rule, named: str | None, scope: Scope, receive: Receive) -> Reply:
        method = scope["method"]
        if method != rule.method and (method != "HEAD" or rule.method != "GET"):
            raise RequestRefused(Kind.WRONG_METHOD, f"{path} takes {rule.method}, not {method}.")
        if path == "/receipt":
            return await self._aside(self._endpoint.receipt, named or "")
        if named is not None:
            self._endpoint.refuse_unknown(named)
        if rule.method == "GET":
            return await self._told(path, named)
        query = scope.get("query_string")
        more = _more(query) if query else NOTHING_MORE
        is_arrow, limit = self._headers(path, scope["headers"])
        body = await _body(receive, limit)
        score = self._endpoint.score_arrow if is_arrow else self._endpoint.score
        answer = self._endpoint.predict if path == "/predict" else score
        if len(body) <= self.small and not (more.explain or is_arrow):
            return answer(body, named, more)
        return await self._aside(answer, body, named, more)

    async def _told(self, path: str, named: str | None) -> Reply:
        """A page, or what is known; health is never kept waiting by what takes long."""
        if path in _PAGES:
            return _PAGES[path]
        if path == "/readyz":
            return self._endpoint.readiness(named)
        return await self._aside(_DESCRIBED[path], self._endpoint, named)

    async def _aside(self, act: Callable[..., Reply], *given: Any) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._endpoint.threads, act, *given)

    def _headers(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bool, int]:
        """Whether the body is an Arrow stream, and how long it may be; raises RequestRefused."""
        limit, declared, is_arrow = self._endpoint.settings.max_body_bytes, b"", False
        for name, value in headers:
            if name == b"content-type":
                if value != b"application/json":
                    is_arrow = _is_arrow(path, value.decode("latin-1"))
            elif name == b"content-length":
                declared = value
        if declared.isdigit() and (len(declared) > _SIZE_LIMIT_DIGITS or int(declared) > limit):
            raise _too_large(limit)
        return is_arrow, limit


_DESCRIBED = {
    "/model": Endpoint.describe,
    "/coming": Endpoint.coming,
    "/about": Endpoint.about,
}


def _ruled(path: str) -> tuple[Rule | None, str, str | None]:
    """The rule of a path, the path without a name in it, and that name."""
    rule, named = _OURS.get(path) or _BENTOMLS.get(path), None
    if rule is None:
        if path.startswith(_NAMED):
            path, _, named = path[1:].partition("/")
            path = f"/{path}"
            rule = _OURS[path]
        elif path.startswith(_STATIC):
            rule = _STATIC_RULE
    return rule, path, named


def _more(query: bytes) -> More:
    """What else is asked for; raises RequestRefused for a value that is neither true nor false."""
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    for name in ("explain", "features"):
        if given.get(name, "false") not in ("true", "false"):
            error = FieldError(name, "must be true or false", given[name], ["true", "false"])
            raise RequestRefused.for_fields(Kind.BAD_QUERY, (error,))
    return More(features=given.get("features") == "true", explain=given.get("explain") == "true")


def _is_arrow(path: str, declared: str) -> bool:
    """Whether that is declared; raises RequestRefused for what is neither that nor JSON."""
    media_type = declared.partition(";")[0].strip().lower()
    if media_type == ARROW and path == "/score":
        return True
    if media_type != "application/json" and not media_type.endswith("+json"):
        detail = (
            f'The body is declared as "{media_type[:100]}". Send it with "Content-Type: application/json".'
        )
        raise RequestRefused(Kind.WRONG_MEDIA_TYPE, detail)
    return False


def _too_large(limit: int) -> RequestRefused:
    return RequestRefused(Kind.TOO_LARGE, f"A body may have {limit} bytes. Send fewer instances at a time.")


async def _body(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join([*parts, part]) if parts else part
        parts.append(part)


def headers_of(reply: Reply) -> list[tuple[bytes, bytes]]:
    """What every reply says of itself, and its own."""
    return [
        (b"content-type", reply.media_type.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        (b"cache-control", b"no-store"),
        *reply.headers,
    ]


async def _send(reply: Reply, method: str, send: Send) -> None:
    headers = headers_of(reply)
    if reply.status == Kind.WRONG_METHOD.status:
        headers.append((b"allow", method.encode()))
    if reply.status == Kind.TOO_LARGE.status:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

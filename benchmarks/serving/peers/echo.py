"""The ceiling: a bare ASGI application that sends the body back."""

from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Echo a request's body."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

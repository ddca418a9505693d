"""The load: so many connections that ask as fast as they are answered, in a process of its own.

`python load.py <port> <path> <connections> <seconds> <file of bodies>` prints what came of it as JSON. Of the
standard library alone, without parsing more than it must: it shares the machine with what it measures.
"""

import asyncio
import base64
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

WARM_UP_S = 0.5
KEPT = 8


class Connection(asyncio.Protocol):
    """One connection: the next request goes out when the answer before is whole."""

    def __init__(self, requests: list[bytes], told: "Told", first: int) -> None:
        self._requests, self._told, self._next = requests, told, first
        self._buffer = b""
        self._sent = 0.0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            self._told.failures.append("an answer without a length")
            self._transport.close()
            return
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        body = self._buffer[end + 4 : end + 4 + length]
        self._buffer = b""
        self._told.note(head[9:12], self._next % len(self._requests), body, time.perf_counter() - self._sent)
        self._next += 1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._told.is_over:
            self._told.failures.append(f"a connection was lost: {exc}")

    def _send(self) -> None:
        if self._told.is_over:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next % len(self._requests)])


class Told:
    """What the answers were, from the end of the warm-up on."""

    def __init__(self) -> None:
        self.is_counted = self.is_over = False
        self.statuses: dict[str, int] = {}
        self.latencies: list[float] = []
        self.bodies: dict[int, str] = {}
        self.failures: list[str] = []

    def note(self, status: bytes, place: int, body: bytes, seconds: float) -> None:
        """One answer."""
        if self.is_over or not self.is_counted:
            return
        name = status.decode()
        self.statuses[name] = self.statuses.get(name, 0) + 1
        self.latencies.append(seconds)
        if len(self.bodies) < KEPT:
            self.bodies[place] = body.decode()


async def ask(port: int, n_connections: int, seconds: float, requests: list[bytes]) -> dict[str, Any]:
    """Requests a second, latencies in ms, statuses, and some answers by the place of their body."""
    told, loop = Told(), asyncio.get_running_loop()
    for n in range(n_connections):
        await loop.create_connection(partial(Connection, requests, told, 7 * n), "127.0.0.1", port)
    await asyncio.sleep(WARM_UP_S)
    told.is_counted, began = True, time.perf_counter()
    await asyncio.sleep(seconds)
    took, told.is_over = time.perf_counter() - began, True
    latencies = sorted(told.latencies) or [float("nan")]
    return {
        "n": len(told.latencies),
        "per_second": len(told.latencies) / took,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[int(0.99 * (len(latencies) - 1))],
        "statuses": told.statuses,
        "bodies": told.bodies,
        "failures": told.failures[:5],
    }


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[5]).read_text())
    decoded = [base64.b64decode(one) for one in given["bodies"]]
    head = f"POST {sys.argv[2]} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {given['type']}\r\n"
    whole = [f"{head}Content-Length: {len(one)}\r\n\r\n".encode() + one for one in decoded]
    print(json.dumps(asyncio.run(ask(int(sys.argv[1]), int(sys.argv[3]), float(sys.argv[4]), whole))))

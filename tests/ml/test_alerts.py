"""What is told of what is wrong: once, again after a while, when it gets worse, when it ends, and to whom."""

import json
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ml.alerts import Alert, AlertsPlan, Message, Receiver, deliver, standing, tell
from ml.errors import AlertNotDelivered
from ml.settings import Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DRIFT = Alert("check", "late_arrival/drift bounds", "warning", "x: drift since Monday", "look at it")
RUN = Alert("run", "run 1234", "error", "it failed", "open it")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "home"))
    return Settings.from_env(tmp_path)


@pytest.fixture
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a server, and what was posted to it."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", bodies
    server.shutdown()
    server.server_close()


def _told(settings: Settings, hours: float, *found: Alert) -> list[str]:
    message = tell(settings, AlertsPlan(cool_down_hours=12), found, NOON + timedelta(hours=hours))
    if message is None:
        return []
    return [one.key for one in message.alerts] + [f"ended {one.key}" for one in message.ended]


def test_the_same_is_told_once_until_the_cool_down_is_over(settings: Settings) -> None:
    assert _told(settings, 0, DRIFT, RUN) == [DRIFT.key, RUN.key]
    assert _told(settings, 0.01, DRIFT, RUN) == []
    other = Alert(DRIFT.kind, DRIFT.subject, "warning", "x and y: drift", "look at it")
    assert _told(settings, 6, other, RUN) == []
    assert _told(settings, 12, other, RUN) == [DRIFT.key, RUN.key]
    assert {one.alert.text for one in standing(settings)} == {other.text, RUN.text}


def test_what_gets_worse_is_told_at_once(settings: Settings) -> None:
    _told(settings, 0, DRIFT)
    worse = Alert(DRIFT.kind, DRIFT.subject, "error", DRIFT.text, DRIFT.next)
    assert _told(settings, 1, worse) == [DRIFT.key]
    assert _told(settings, 2, DRIFT) == []


def test_an_end_is_told_and_what_comes_and_goes_is_not_told_each_time(settings: Settings) -> None:
    assert _told(settings, 0, DRIFT) == [DRIFT.key]
    assert _told(settings, 1) == [f"ended {DRIFT.key}"]
    assert _told(settings, 2) == []
    assert _told(settings, 3, DRIFT) == []
    assert _told(settings, 4) == [f"ended {DRIFT.key}"]
    assert _told(settings, 13, DRIFT) == [DRIFT.key]
    assert standing(settings)[0].since == NOON + timedelta(hours=13)


def test_all_that_is_new_comes_in_one_post(
    settings: Settings, posted: tuple[str, list[dict[str, Any]]]
) -> None:
    url, bodies = posted
    plan = AlertsPlan(to=(Receiver(webhook=url),))
    tell(settings, plan, [DRIFT, RUN], NOON)
    tell(settings, plan, [DRIFT, RUN], NOON)
    (body,) = bodies
    assert [one["subject"] for one in body["alerts"]] == [DRIFT.subject, RUN.subject]
    assert "next: open it" in body["text"]


def test_a_receiver_that_is_away_is_tried_again(
    settings: Settings, posted: tuple[str, list[dict[str, Any]]]
) -> None:
    url, bodies = posted
    away = AlertsPlan(to=(Receiver(webhook="http://127.0.0.1:9/away"), Receiver(webhook=url)))
    with pytest.raises(AlertNotDelivered, match=r"127\.0\.0\.1:9/away"):
        tell(settings, away, [RUN], NOON)
    assert len(bodies) == 1  # the others were told
    message = tell(settings, AlertsPlan(to=(Receiver(webhook=url),)), [RUN], NOON + timedelta(minutes=1))
    assert message is not None
    assert len(bodies) == 2


def test_a_command_reads_it_and_a_variable_names_the_address(
    tmp_path: Path, posted: tuple[str, list[dict[str, Any]]]
) -> None:
    url, bodies = posted
    message = Message("p", NOON, (RUN,), (DRIFT,))
    file = tmp_path / "told.json"
    code = f"import sys, pathlib; pathlib.Path({str(file)!r}).write_text(sys.stdin.read())"
    to = [
        Receiver(command=(sys.executable, "-c", code)),
        Receiver(webhook="env:HOOK"),
        Receiver(webhook="env:NOT_SET"),
    ]
    deliver(message, to, {"HOOK": url})
    assert json.loads(file.read_text()) == bodies[0] == message.as_json()
    with pytest.raises(AlertNotDelivered, match="exit status 3"):
        deliver(message, [Receiver(command=(sys.executable, "-c", "raise SystemExit(3)"))])


@pytest.mark.parametrize("wrong", [{}, {"webhook": "ftp://x"}, {"webhook": "http://x", "command": ["y"]}])
def test_a_receiver_is_one_thing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"either webhook or command|webhook is a URL"):
        Receiver(**wrong)

"""What people are told of when something is wrong: once, grouped, again only after a while, and when it ends.

What is wrong is found elsewhere; here it is remembered, and delivered where the project declares it.
"""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ml import canonical
from ml.declared import Declared
from ml.errors import AlertNotDelivered
from ml.settings import Settings

Severity = Literal["error", "warning"]
_PATIENCE_S = 10
_KEPT_ENDED = timedelta(days=7)
ENV = "env:"


class Receiver(Declared):
    """Who is told: a webhook gets a POST of JSON, a command the same on its standard input.

    `webhook` is a URL, or `env:NAME`, the variable that has it; where that is not set nobody is told.
    """

    webhook: str | None = None
    command: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.webhook) == bool(self.command):
            raise ValueError("give either webhook or command")
        if self.webhook and not self.webhook.startswith(("http://", "https://", ENV)):
            raise ValueError(f"webhook is a URL or env:NAME, not {self.webhook!r}")
        return self


class AlertsPlan(Declared):
    """Whom to tell, and how long to keep quiet about what was told and goes on."""

    cool_down_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 12
    to: tuple[Receiver, ...] = ()


@dataclass(frozen=True)
class Alert:
    """One thing that is wrong: `kind` and `subject` name it, `next` is the one thing to do now."""

    kind: str
    subject: str
    severity: Severity
    text: str
    next: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True)
class Standing:
    """An alert that was found: since when, when it was told last, and when it ended (None: it goes on)."""

    alert: Alert
    since: datetime
    told_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Message:
    """What is delivered at once: what is new or told again, and what has ended."""

    project: str
    at: datetime
    alerts: tuple[Alert, ...]
    ended: tuple[Alert, ...]

    @property
    def text(self) -> str:
        """In words, a line each."""
        lines = [f"{one.severity}: {one.subject}: {one.text}\n  next: {one.next}" for one in self.alerts]
        return "\n".join([*lines, *(f"ended: {one.subject}: {one.kind}" for one in self.ended)])

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; `text` is there for receivers that show one field."""
        told: dict[str, Any] = canonical.plain(self)
        return {"text": self.text, **told}


def update(
    standing: Sequence[Standing], found: Iterable[Alert], now: datetime, cool_down: timedelta
) -> tuple[list[Standing], list[Alert], list[Alert]]:
    """What stands now, what of it is to be told, and what has ended and had been told.

    The same thing with another text is the same; one that got worse is told at once.
    """
    before = {one.alert.key: one for one in standing}
    current = {one.key: one for one in found}
    after, told, ended = [], [], []
    for key, alert in current.items():
        was = before.get(key)
        if was is None or was.ended_at is not None:
            # What comes and goes is one thing: within the cool-down it is not told anew.
            since, told_at = now, was.told_at if was else None
        else:
            since, told_at = was.since, was.told_at
        got_worse = was is not None and was.alert.severity == "warning" and alert.severity == "error"
        if told_at is None or got_worse or now - told_at >= cool_down:
            told.append(alert)
        after.append(Standing(alert, since, told_at))
    for key, was in before.items():
        if key in current:
            continue
        if was.ended_at is None:
            if was.told_at is not None:
                ended.append(was.alert)
            after.append(replace(was, ended_at=now))
        elif now - was.ended_at < _KEPT_ENDED:
            after.append(was)
    return after, told, ended


def file_of(settings: Settings) -> Path:
    """Where what stands is kept."""
    return settings.home / "alerts.json"


def standing(settings: Settings) -> list[Standing]:
    """What was found last."""
    file = file_of(settings)
    return canonical.loads(list[Standing], file.read_bytes()) if file.exists() else []


def tell(settings: Settings, plan: AlertsPlan, found: Iterable[Alert], now: datetime) -> Message | None:
    """Take note of what is wrong now, and deliver what is to be told; None where that is nothing.

    Raises AlertNotDelivered; then it is told again the next time, to all.
    """
    after, told, ended = update(standing(settings), found, now, timedelta(hours=plan.cool_down_hours))
    message = Message(settings.project.name, now, tuple(told), tuple(ended)) if told or ended else None
    try:
        if message:
            deliver(message, plan.to)
            after = [replace(one, told_at=now) if one.alert in message.alerts else one for one in after]
    finally:
        file = file_of(settings)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".part")
        partial.write_text(canonical.dumps(after))
        partial.replace(file)
    return message


def deliver(message: Message, to: Sequence[Receiver], env: Mapping[str, str] = os.environ) -> None:
    """To every receiver; raises AlertNotDelivered naming those that failed, after all were tried."""
    body = json.dumps(message.as_json()).encode()
    failed = []
    for receiver in to:
        try:
            if receiver.command:
                _run(receiver.command, body)
            elif url := _url(receiver, env):
                _post(url, body)
        except (OSError, ValueError, subprocess.SubprocessError) as trouble:
            failed.append(f"{receiver.webhook or ' '.join(receiver.command or ())} ({trouble})")
    if failed:
        raise AlertNotDelivered(failed)


def _url(receiver: Receiver, env: Mapping[str, str]) -> str | None:
    told = receiver.webhook or ""
    return env.get(told.removeprefix(ENV)) if told.startswith(ENV) else told


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 declared
    with urllib.request.urlopen(request, timeout=_PATIENCE_S):  # noqa: S310
        pass


def _run(command: Sequence[str], body: bytes) -> None:
    subprocess.run(command, input=body, timeout=_PATIENCE_S, check=True, capture_output=True)

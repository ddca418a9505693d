"""`headwater ledger`: what happened to models, or what held at a time.

Read from the ledger alone; `headwater rollback` is the one command that writes to it.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from rich.markup import escape

from headwater.console import Voice
from headwater.errors import NoSuchModel
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.ledger_reading import server_of
from ml.settings import Settings


def show_ledger(model: str | None, at: datetime | None, *, as_json: bool) -> None:
    """Print the history of a model or of all; with `at`, the champions and what servers had loaded then.

    Raises:
        NoSuchModel: the ledger knows no model of that name.
    """
    voice, ledger = Voice(as_json), Ledger(Settings.from_env().ledger_url)
    known = ledger.models()
    if model and model not in known:
        raise NoSuchModel(model=model, known=known)
    if at is None:
        _history(voice, ledger.history(model))
    else:
        champions = [one for one in ledger.champions(at) if model in (None, one.model)]
        _moment(voice, at, champions, ledger.serving(model, at))
    voice.finish()


def _history(voice: Voice, entries: Iterable[Entry]) -> None:
    entries = list(entries)
    voice.facts["entries"] = [asdict(entry) for entry in entries]
    if not entries:
        voice.say("No model was registered yet.")
    for entry in entries:
        voice.say(f"[dim]{_second(entry)}[/]  {entry.kind:<11} {_which(entry)}{_told(entry)}")


def _moment(voice: Voice, at: datetime, champions: list[Entry], serving: list[Entry]) -> None:
    voice.facts |= {
        "at": at,
        "champions": [asdict(entry) for entry in champions],
        "serving": [{"server": server_of(entry), **asdict(entry)} for entry in serving],
    }
    rows = [(_which(one), f"since {_second(one)} UTC: {escape(one.reason or '')}") for one in champions]
    voice.table(f"Champions at {at:%Y-%m-%d %H:%M:%S} UTC", rows or [("none", "no model was promoted yet")])
    loaded = [(server_of(one), f"{_which(one)}  since {_second(one)} UTC") for one in serving]
    voice.table("Loaded by", loaded or [("none", "no server had loaded a model")])


def _second(entry: Entry) -> str:
    return f"{entry.at:%Y-%m-%d %H:%M:%S}"


def _which(entry: Entry) -> str:
    return f"[bold]{entry.model}[/] {entry.version[:12]}"


def _told(entry: Entry) -> str:
    told = f"  by {escape(entry.actor or 'nobody')}"
    if entry.kind in ("loaded", "stopped"):
        told += f" {server_of(entry)}, pid {entry.details.get('pid')}"
    if entry.previous:
        told += f"  {'beside' if entry.kind == 'compared' else 'in place of'} {entry.previous[:12]}"
    return told + (f"\n                     [dim]{escape(entry.reason)}[/]" if entry.reason else "")

"""`headwater status`: what runs, what has landed, what is computed, which model serves.

Read from the files and databases of the project; nothing is started, no writer is waited for.
"""

from datetime import date

from headwater import services
from headwater.console import Voice
from headwater.stack import Stack
from ml.arrivals import landed_files, not_computed
from ml.computed import Computed
from ml.errors import HeadwaterError
from ml.ledger import Ledger
from ml.settings import Settings
from ml.sources import failures
from ml.sources.catalogue import declared_sources

_MEGABYTE = 2**20


def show_status(*, as_json: bool) -> None:
    """Print the state of the project."""
    voice, settings = Voice(as_json), Settings.from_env()
    failures = []
    for section in (_processes, _days, _champions):
        try:
            section(voice, settings)
        except HeadwaterError as error:
            failures.append(error)
    voice.finish()
    if failures:
        raise failures[0]


def _processes(voice: Voice, settings: Settings) -> None:
    running = Stack(settings).running()
    rows = []
    for name in services.ALL:
        process = running.get(name)
        address = services.url(name) if process and process.port else ""
        state = (
            f"pid {process.pid}, {process.resident_bytes / _MEGABYTE:.0f} MB  {address}"
            if process
            else "stopped"
        )
        rows.append((name, state))
    voice.facts["processes"] = {
        name: {"pid": p.pid, "port": p.port, "resident_mb": round(p.resident_bytes / _MEGABYTE)}
        for name, p in running.items()
    }
    voice.table("Processes", rows)


def _days(voice: Voice, settings: Settings) -> None:
    sources = declared_sources(settings.project)
    landed, computed = landed_files(settings, sources), Computed(settings).files()
    due = not_computed(landed, computed)
    refused = {
        str(path): message for source in sources for path, message in failures(settings, source).items()
    }
    rows = []
    for source in sources:
        days = [arrival.day for arrival in landed if arrival.source == source.name]
        waiting = sum(1 for arrival in due if arrival.source == source.name)
        unit = "weeks" if source.cadence == "weekly" else "days"
        rows.append((source.name, f"{_span(days, unit)}{f', {waiting} not computed yet' if waiting else ''}"))
    voice.facts["landed"] = dict(rows)
    voice.facts["refused"] = refused
    voice.table("Landed", rows)
    for path, message in refused.items():
        voice.say(f"[red]refused[/] {path}: {message}")


def _span(days: list[date | None], unit: str) -> str:
    dated = sorted(day for day in days if day is not None)
    if not dated:
        return "one file" if days else "nothing"
    return f"{len(dated)} {unit}, {dated[0]} to {dated[-1]}"


def _champions(voice: Voice, settings: Settings) -> None:
    promotions = Ledger(settings.ledger_url).champions()
    voice.facts["champions"] = {
        p.model: {"version": p.version, "since": p.at, "reason": p.reason} for p in promotions
    }
    rows = [(p.model, f"{p.version[:12]} since {p.at:%Y-%m-%d %H:%M:%S} UTC: {p.reason}") for p in promotions]
    voice.table("Champions", rows or [("none", "no model was promoted yet")])

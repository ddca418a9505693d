"""What people are told of a model beside its answers: who can be asked about next, its card, its history.

Read from the project that is followed; where none is, there is nothing of it to tell.
"""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ml.coming import as_instances, coming
from ml.errors import EvaluationNotFound, NothingPublished
from ml.lake.published import Published
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.registry import Registry
from ml.settings import Settings
from services.serving import Serving

_SHOWN_ENTRIES = 12
_SHOWN_COMING = 500
_KINDS = ("promoted", "rolled_back", "refused", "loaded", "log_gap")


class Telling:
    """Reads one project; safe to use from several threads."""

    def __init__(self, project: Settings) -> None:
        self._published = Published(project)
        self._registry = Registry(project.registry)
        self._ledger = Ledger(project.ledger_url)
        self._folder = project.home / "live_quality"
        self._lock = threading.Lock()
        self._coming: dict[str, tuple[tuple[int, str], list[dict[str, Any]]]] = {}

    def coming(self, serving: Serving) -> list[dict[str, Any]]:
        """The next of those whose outcome is open, by time: key, time and request; at most 500."""
        bundle = serving.bundle
        try:
            edition = self._published.edition()
        except NothingPublished:
            return []
        key = edition.id, bundle.version
        with self._lock:
            known, told = self._coming.get(bundle.model, (None, []))
            if known != key:
                rows = coming(self._published, edition, bundle).slice(0, _SHOWN_COMING)
                instances = as_instances(bundle.contract, rows)
                keys = rows[bundle.contract.key].to_pylist()
                times = rows["prediction_at"].to_pylist()
                told = [
                    {"key": key, "prediction_at": at.replace(tzinfo=UTC), "instance": instance}
                    for key, at, instance in zip(keys, times, instances, strict=True)
                ]
                self._coming[bundle.model] = key, told
        return told

    def about(self, serving: Serving) -> dict[str, Any]:
        """The model's card, its quality on its test days, since when it is champion, what happened last."""
        bundle = serving.bundle
        history = self._ledger.history(bundle.model, *_KINDS)
        crowned = [
            one
            for one in history
            if one.version == bundle.version and one.kind in ("promoted", "rolled_back")
        ]
        promoted = next((one for one in reversed(crowned) if "evaluation" in one.details), None)
        return {
            "champion_since": crowned[-1].at if crowned else None,
            "history": [_told(one) for one in reversed(history[-_SHOWN_ENTRIES:])],
            **self._evaluated(promoted),
            "live_quality": self._live_quality(bundle.model),
        }

    def _live_quality(self, model: str) -> Any:
        """What the asset of that name made of logged predictions and outcomes; None before it did."""
        file = self._folder / f"{model}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def _evaluated(self, promoted: Entry | None) -> Mapping[str, Any]:
        if promoted is None:
            return {"card": None}
        try:
            named = promoted.model, promoted.version, str(promoted.details["evaluation"])
            return {"card": self._registry.get_evaluation(*named, "card.md").decode()}
        except EvaluationNotFound:
            return {"card": None}


def _told(entry: Entry) -> dict[str, Any]:
    at: datetime = entry.at
    told = {"at": at, "kind": entry.kind, "version": entry.version, "reason": entry.reason}
    if entry.kind == "loaded":
        places = (f"{name} {entry.details[name]}" for name in ("worker", "pid") if name in entry.details)
        told["reason"] = ", ".join(places)
    return told

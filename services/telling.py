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
_SHOWN_DAYS, _SHOWN_FEATURES = 120, 12
_WRONG = ("drift", "missing", "unseen")
_SHOWN_COMING = 500
_KINDS = ("promoted", "rolled_back", "refused", "loaded", "log_gap")


class Telling:
    """Reads one project; safe to use from several threads."""

    def __init__(self, project: Settings) -> None:
        self._published = Published(project)
        self._registry = Registry(project.registry)
        self._ledger = Ledger(project.ledger_url)
        self._home = project.home
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
            "loop": self._loop(bundle.model, crowned[-1].at if crowned else None),
        }

    def _loop(self, model: str, since: datetime | None) -> dict[str, Any]:
        """How it goes: how fresh the data is, quality by day, drift, what the loop decided, what is wrong."""
        quality, drift = (self._observed(model, name) for name in ("quality", "drift"))
        decided = self._ledger.newest(model, "decided")
        promoted = self._ledger.history(model, "promoted", "rolled_back")
        try:
            edition = self._published.edition()
            data = {"edition": edition.id, "published_at": edition.at}
        except NothingPublished:
            data = {}
        return {
            "data": data | ({"newest_day": drift["features"]["last_day"]} if drift else {}),
            "champion_since": since,
            "promoted": [
                {"day": one.details.get("labelled_until"), "version": one.version, "kind": one.kind}
                for one in promoted
            ],
            "quality": quality and _of_quality(quality),
            "drift": drift and _of_drift(drift),
            "decided": decided
            and {"at": decided.at, "is_due": decided.details["is_due"], "reason": decided.reason}
            | {name: decided.details.get(name) for name in ("day", "triggers", "held_by")},
            "alerts": self._alerts(model),
        }

    def _observed(self, model: str, name: str) -> Any:
        file = self._home / "observed" / model / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def _alerts(self, model: str) -> list[dict[str, Any]]:
        """Those that go on, of this model and of what no model alone is made from."""
        file = self._home / "alerts.json"
        standing = json.loads(file.read_text()) if file.exists() else []
        others = {one for one in self._ledger.models() if one != model}
        return [
            {"since": one["since"], **one["alert"]}
            for one in standing
            if one["ended_at"] is None and one["alert"]["subject"].split("/")[0] not in others
        ]

    def _live_quality(self, model: str) -> Any:
        """What the asset of that name made of logged predictions and outcomes; None before it did."""
        file = self._home / "live_quality" / f"{model}.json"
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


def _of_quality(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The newest days by model, and the newest window."""
    names = ("role", "version", "last_day", "n_rows", "n_known", "value", "low", "high")
    told = {name: kept[name] for name in ("metric", "higher_is_better", "window_days")}
    for name, rows in (("by_day", kept["by_day"]), ("recent", kept["recent"])):
        told[name] = [{key: row[key] for key in names} for row in rows][-3 * _SHOWN_DAYS :]
    return told | {"judged_by": kept["judged_by"] and kept["judged_by"]["value"]}


def _of_drift(kept: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "verdict", "psi_training", "limit_training", "weight", "since")
    features = kept["features"]["features"]
    return {
        "version": kept["version"],
        "first_day": kept["features"]["first_day"],
        "last_day": kept["features"]["last_day"],
        "share": sum(one["weight"] for one in features if one["verdict"] in _WRONG),
        "features": [{key: one[key] for key in names} for one in features[:_SHOWN_FEATURES]],
    }

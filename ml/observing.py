"""Looks at a champion after its training: how good it is on labelled days since, and how its features drift.

What is seen is kept for those who show it, and for the retrain policy; what is done about it is theirs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml import canonical
from ml.bundle import Bundle
from ml.declaration import ModelDeclaration
from ml.drift.bins import SCORE, number_bins
from ml.drift.fingerprint import Fingerprint, merged
from ml.drift.kept import Kept
from ml.drift.taking import FILE, fingerprint_of, take_table
from ml.drift.watching import Watched, watch
from ml.engines import BASELINE, ENGINES
from ml.errors import EvaluationNotFound, NothingPublished
from ml.lake.editions import Edition
from ml.lake.published import Published
from ml.ledger import Ledger
from ml.quality import Quality, Role, Told, quality
from ml.registry import Registry
from ml.scoring import Scorer, score
from ml.settings import Settings
from ml.shadow import Shadow, matrix_of, sweep

BASELINE_FILE = "baseline.txt"  # beside an evaluation


@dataclass(frozen=True)
class Drift:
    """What features, and the champion's scores, look like in the newest window."""

    model: str
    version: str
    edition: int
    features: Watched
    scores: Watched | None

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Drift":
        """Read what `to_json` gave."""
        return canonical.loads(cls, text)


def folder_of(settings: Settings, model: str) -> Path:
    """Where what was observed of a model is kept."""
    return settings.home / "observed" / model


@dataclass(frozen=True)
class Observed:
    """One model's champion over one edition of the published tables."""

    settings: Settings
    declaration: ModelDeclaration
    bundle: Bundle
    candidate: Bundle | None
    baseline: str | None
    published: Published
    edition: Edition

    @classmethod
    def now(cls, settings: Settings, declaration: ModelDeclaration) -> "Observed | None":
        """As the ledger and the lake are now; None while nothing is promoted or published."""
        ledger, registry, published = (
            Ledger(settings.ledger_url),
            Registry(settings.registry),
            Published(settings),
        )
        champion, newest = ledger.champion(declaration.name), ledger.newest(declaration.name)
        if champion is None:
            return None
        try:
            edition = published.edition()
        except NothingPublished:
            return None
        bundle = registry.get(declaration.name, champion.version)
        is_other = newest is not None and newest.version != champion.version
        candidate = registry.get(declaration.name, newest.version) if newest and is_other else None
        if {bundle.declaration.features.table, bundle.declaration.label.table} - edition.snapshots.keys():
            return None
        baseline = _baseline(ledger, registry, bundle)
        return cls(settings, declaration, bundle, candidate, baseline, published, edition)

    @property
    def judged_on(self) -> tuple[date, date]:
        """The days that the champion was held out of and judged by, first and last."""
        tested = self.bundle.origin["tested_on"]
        return date.fromisoformat(tested["first_day"]), date.fromisoformat(tested["last_day"])

    def quality(self) -> Quality:
        """Of champion, newest candidate and baseline, on the days since; raises what scoring raises."""
        told, plan = list(self._told()), self.declaration.retrain.quality
        folder = folder_of(self.settings, self.declaration.name) / "scores"
        sweep(folder, [_file(one.role, one.version) for one in told])
        return quality(
            self.bundle.declaration.model_copy(update={"retrain": self.declaration.retrain}),
            self.edition.id,
            told,
            self.judged_on,
            self._sliced((plan.window_days if plan else 14) + 7),
        )

    def drift(self) -> Drift | None:
        """Of the features by their fingerprints, and of scores; None where no day has rows."""
        trained = self.trained
        table, plan = self.bundle.declaration.features.table, self.declaration.drift
        kept = Kept(folder_of(self.settings, self.declaration.name) / "fingerprints")
        by_day = kept.by_day(self.published, self.edition, table, trained.bins)
        kept.sweep(table, trained.bins)
        gains = {one.feature: one.gain_share for one in Scorer(self.bundle).fitted.importances()}
        until = date.fromisoformat(self.bundle.receipt["rows"]["last_day"])
        features = watch(trained, by_day, until, plan, gains)
        if features is None:
            return None
        return Drift(
            self.declaration.name, self.bundle.version, self.edition.id, features, self._scores_drift()
        )

    @cached_property
    def trained(self) -> Fingerprint:
        """Of the rows that the champion was trained on: kept with it, or counted now."""
        if FILE in self.bundle.files:
            return Fingerprint.from_json(self.bundle.files[FILE])
        rows, contract = self.bundle.receipt["rows"], self.bundle.contract
        first, last = (date.fromisoformat(rows[name]) for name in ("first_day", "last_day"))
        columns = [feature.name for feature in contract.features]
        table = self.bundle.declaration.features.table
        read = self.published.read(
            table, edition=self.edition, columns=columns, first_day=first, last_day=last
        )
        return fingerprint_of(contract, read)

    def _scores_drift(self) -> Watched | None:
        rows, (first, last) = self._scores("champion", self.bundle), self.judged_on
        told = matrix_of(rows)
        top = told.max(axis=1) if told.ndim > 1 else told
        judged = np.asarray(pc.less_equal(rows["day"], pa.scalar(last)))
        if not judged.any():
            return None
        bins = (number_bins(SCORE, top[judged]),)
        by_day = take_table(pa.table({SCORE: top, "day": rows["day"]}), bins, "day")
        trained = merged(bins, [one for day, one in by_day.items() if first <= day <= last])
        return watch(trained, by_day, last, self.declaration.drift)

    def _told(self) -> Iterator[Told]:
        yield self._of("champion", self.bundle)
        if self.candidate and self._reads_the_same(self.candidate):
            yield self._of("candidate", self.candidate)
        if self.baseline:
            yield self._of("baseline", self.bundle)

    def _of(self, role: Role, bundle: Bundle) -> Told:
        scores, labels = self._scores(role, bundle), self._labels
        at = pc.index_in(scores["key"], value_set=labels["key"])
        for name in labels.column_names[1:]:
            scores = scores.append_column(name, labels[name].take(at))
        return Told(role, bundle.version, bundle.contract, scores)

    def _scores(self, role: Role, bundle: Bundle) -> pa.Table:
        folder = folder_of(self.settings, self.declaration.name) / "scores"
        table = bundle.declaration.features.table
        shadow = Shadow(folder, _file(role, bundle.version), bundle.contract, table)
        first = date.fromisoformat(bundle.origin["tested_on"]["first_day"])
        days = [day for day in self.published.days(table, self.edition) if day >= first]

        def scoring() -> Any:
            if role != "baseline":
                return Scorer(bundle, threads=0).score
            fitted = ENGINES[BASELINE].load(self.baseline or "")
            return lambda rows: score(fitted, bundle.contract, rows)

        return shadow.scores(self.published, self.edition, days, scoring)

    def _reads_the_same(self, other: Bundle) -> bool:
        return other.declaration.label == self.bundle.declaration.label and (
            other.declaration.features.table in self.edition.snapshots
        )

    @cached_property
    def _labels(self) -> pa.Table:
        """Key, group if any, and label, of the days since those judged by."""
        label, key = self.bundle.declaration.label, self.bundle.declaration.key
        columns = [key, *([label.group] if label.group else []), label.column]
        first = self.judged_on[0] - timedelta(days=1)
        rows = self.published.read(label.table, edition=self.edition, columns=columns, first_day=first)
        return rows.rename_columns(["key", *columns[1:]]).set_column(0, "key", rows[key].cast(pa.string()))

    def _sliced(self, n_days: int) -> pa.Table | None:
        declared, features = self.bundle.declaration.slices, self.bundle.declaration.features
        if declared is None:
            return None
        labelled = self.published.days(self.bundle.declaration.label.table, self.edition)
        first = labelled[-n_days:][0] if labelled else None
        key = self.bundle.declaration.key
        rows = self.published.read(
            features.table, edition=self.edition, columns=[key, *declared.columns], first_day=first
        )
        names = ["key", *declared.columns]
        return rows.rename_columns(names).set_column(0, "key", rows[key].cast(pa.string()))


def keep(settings: Settings, model: str, name: str, text: str) -> None:
    """Keep what was seen, whole or not at all."""
    folder = folder_of(settings, model)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.part"
    partial.write_text(text)
    partial.replace(folder / name)


def kept(settings: Settings, model: str) -> Mapping[str, Any]:
    """The last `quality` and `drift` that were seen, where they were."""
    folder, found = folder_of(settings, model), {}
    for name, kind in (("quality", Quality), ("drift", Drift)):
        file = folder / f"{name}.json"
        if file.exists():
            found[name] = kind.from_json(file.read_bytes())
    return found


def _file(role: str, version: str) -> str:
    return f"{version[:16]}-baseline" if role == "baseline" else version[:16]


def _baseline(ledger: Ledger, registry: Registry, bundle: Bundle) -> str | None:
    """The plain model that the champion was judged beside, where it was kept."""
    promoted = [
        one
        for one in ledger.history(bundle.model, "promoted")
        if one.version == bundle.version and "evaluation" in one.details
    ]
    if not promoted:
        return None
    try:
        named = bundle.model, bundle.version, promoted[-1].details["evaluation"], BASELINE_FILE
        return registry.get_evaluation(*named).decode()
    except EvaluationNotFound:
        return None

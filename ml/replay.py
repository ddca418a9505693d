"""The last logged requests asked of a candidate and of the champion again, before one replaces the other.

What may change is declared; which requests there are is said by the log, and by the newest rows of the
features where nobody has asked yet.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.bundle import Bundle
from ml.declaration import ModelDeclaration
from ml.declared_replay import ReplayPlan
from ml.errors import ReplayFailed, UnknownColumn
from ml.lake.editions import Edition
from ml.lake.published import Published
from ml.prediction_log.reading import each_once, newest_of
from ml.replay_answers import OnAnswers
from ml.row_scoring import RowCoder
from ml.settings import Settings

_FREE_MB = 32.0  # more than this is told apart from what a process allocates anyway
_FEWEST_KNOWN, _FEWEST_DAYS = 100, 7
_TIME = "prediction_at"
_LOOKED_THROUGH = 20_000  # answers, for requests about different entities
_PATIENCE_S = 300
_SURE = 1.96
Scores = NDArray[Any]


@dataclass(frozen=True)
class Asked:
    """Rows of features that were asked about, the label where it is known (null else), and where from.

    `n_days` is how many days those with a label are of; None where that does not matter.
    """

    rows: pa.Table
    labels: pa.Array
    source: str
    n_days: int | None = None


@dataclass(frozen=True)
class Replay:
    """What came of it; a share is None where it does not apply. `faults` say what is beyond the budget."""

    n_rows: int
    source: str
    flipped: float | None
    calibration_gap: float | None
    p99_ms: float
    champion_p99_ms: float
    memory_mb: float
    champion_memory_mb: float
    faults: tuple[str, ...]
    answers: OnAnswers | None = None

    @property
    def is_within(self) -> bool:
        return not self.faults

    @property
    def text(self) -> str:
        """In words."""
        if self.faults:
            return "; ".join(self.faults)
        known = ""
        if self.answers:
            one = self.answers
            known = (
                f"{one.metric} {one.candidate:.4f} on {one.n_rows:,} answers (champion {one.champion:.4f}), "
            )
        flips = "" if self.flipped is None else f"{self.flipped:.1%} of the decisions are other ones, "
        return (
            f"{self.n_rows:,} {self.source} asked again: {known}{flips}p99 of scoring {self.p99_ms:.3f} ms "
            f"(champion {self.champion_p99_ms:.3f}), memory {self.memory_mb:.0f} MB "
            f"(champion {self.champion_memory_mb:.0f})"
        )


def asked(settings: Settings, champion: Bundle, candidate: Bundle, n_rows: int) -> Asked | None:
    """The newest logged rows that have the features of both; else the newest of the feature table.

    None where that table has not all of them, or no row.
    """
    names = [one.name for one in (*champion.contract.features, *candidate.contract.features)]
    names = list(dict.fromkeys(names))
    table, key = candidate.declaration.features.table, candidate.declaration.key
    published = Published(settings)
    edition = published.edition()
    wanted = list(dict.fromkeys([_TIME, *names]))
    found = newest_of(settings.prediction_log, champion.model, key, wanted, max(n_rows, _LOOKED_THROUGH))
    found = None if found is None else each_once(found).slice(0, n_rows)
    if found is not None and found.num_rows >= _FEWEST_KNOWN:
        labels = _labels(published, edition, candidate.declaration, found["key"])
        return Asked(found.select(names), labels, "logged requests", _n_days(found, labels))
    days = published.days(table, edition)
    if not days:
        return None
    first = days[-1] - timedelta(days=7)
    try:
        columns = [key, *dict.fromkeys([_TIME, *names])]
        rows = published.read(table, edition=edition, columns=columns, first_day=first)
    except UnknownColumn:  # the champion's features are gone: nothing can be asked of both
        return None
    evenly = np.unique(np.linspace(0, rows.num_rows - 1, min(n_rows, rows.num_rows)).astype(np.int64))
    rows = rows.take(pa.array(evenly))
    labels = _labels(published, edition, candidate.declaration, rows[key].cast(pa.string()))
    source = "rows of the newest week, as too few requests are logged,"
    return Asked(rows.select(names), labels, source, _n_days(rows, labels))


def _n_days(rows: pa.Table, labels: pa.Array) -> int:
    days = pc.cast(rows[_TIME], pa.date32()).filter(labels.is_valid())
    return int(pc.count_distinct(days).as_py())


def beside_answers(done: Replay, answers: OnAnswers | None, plan: ReplayPlan) -> Replay:
    """The same with how good both are on what was asked."""
    if answers is None or answers.share <= plan.max_worse:
        return replace(done, answers=answers)
    fault = (
        f"{answers.metric} is {answers.candidate:.4f} on {answers.n_rows:,} answers whose outcome is known, "
        f"with their features as they were, the champion's {answers.champion:.4f}: worse by "
        f"{answers.share:.1%}, more than the declared {plan.max_worse:.1%}"
    )
    return replace(done, answers=answers, faults=(*done.faults, fault))


def replay(champion: Bundle, candidate: Bundle, given: Asked, plan: ReplayPlan) -> Replay:
    """Score the rows with both, each row alone, in a process of its own; raises ReplayFailed."""
    told = _probed({"champion": champion, "candidate": candidate}, given.rows)
    ours, theirs = told["candidate"], told["champion"]
    flipped = gap = None
    faults: list[str] = []
    if None in ours["scores"]:
        place = ours["scores"].index(None)
        n_none = sum(one is None for one in ours["scores"])
        faults += [f"{n_none} of {given.rows.num_rows} rows get no finite score: {_row(given.rows, place)}"]
    elif None not in theirs["scores"]:
        scores = np.array(ours["scores"], dtype=float), np.array(theirs["scores"], dtype=float)
        flipped = _flipped(candidate.declaration, *scores)
        gap, before = (_gap(candidate.declaration, one, given.labels) for one in scores)
        if not _decides_better(candidate.declaration, *scores, given.labels):
            faults += _too_many_flips(flipped, plan)
        if given.n_days is None or given.n_days >= _FEWEST_DAYS:  # one day's mean is its weather's
            faults += _worse_calibrated(gap, before, plan)
    faults += _costs(ours, theirs, plan)
    return Replay(
        given.rows.num_rows,
        given.source,
        flipped,
        gap,
        ours["p99_ms"],
        theirs["p99_ms"],
        ours["memory_mb"],
        theirs["memory_mb"],
        tuple(faults),
    )


def _too_many_flips(flipped: float | None, plan: ReplayPlan) -> Iterator[str]:
    if flipped is not None and flipped > plan.max_flipped:
        yield (
            f"{flipped:.1%} of the decisions on the last requests are other ones than the champion's, "
            f"more than the declared {plan.max_flipped:.0%}, and nothing shows that they are better"
        )


def _worse_calibrated(gap: float | None, before: float | None, plan: ReplayPlan) -> Iterator[str]:
    if gap is not None and before is not None and gap > max(plan.max_calibration_gap, before):
        yield (
            f"on the last requests whose outcome is known the mean score is off by {gap:.3f}, "
            f"more than the declared {plan.max_calibration_gap:g} and than the champion's {before:.3f}"
        )


def _costs(ours: dict[str, Any], theirs: dict[str, Any], plan: ReplayPlan) -> Iterator[str]:
    if ours["p99_ms"] > plan.max_slowdown * theirs["p99_ms"]:
        yield (
            f"scoring takes {ours['p99_ms'] / theirs['p99_ms']:.1f} times as long as the champion "
            f"({ours['p99_ms']:.3f} ms at the 99th of 100 rows, {theirs['p99_ms']:.3f}), "
            f"more than the declared {plan.max_slowdown:g}"
        )
    if plan.max_p99_ms is not None and ours["p99_ms"] > plan.max_p99_ms:
        yield f"scoring takes {ours['p99_ms']:.3f} ms at p99, more than the declared {plan.max_p99_ms:g}"
    if ours["memory_mb"] > max(plan.max_growth * theirs["memory_mb"], theirs["memory_mb"] + _FREE_MB):
        yield (
            f"it takes {ours['memory_mb']:.0f} MB of memory, the champion {theirs['memory_mb']:.0f}: more "
            f"than the declared {plan.max_growth:g} times"
        )


def _flipped(declaration: ModelDeclaration, ours: Scores, theirs: Scores) -> float | None:
    """The share of other decisions; None of a ranking, which has none of a single row."""
    if declaration.task == "binary":
        threshold = _threshold(declaration)
        return float(np.mean((ours >= threshold) != (theirs >= threshold)))
    if declaration.task == "multiclass":
        return float(np.mean(ours.argmax(axis=1) != theirs.argmax(axis=1)))
    if declaration.task == "regression":
        return float(np.mean(np.abs(ours - theirs) > max(float(theirs.std()), 1e-12) / 2))
    return None


def _decides_better(declaration: ModelDeclaration, ours: Scores, theirs: Scores, labels: pa.Array) -> bool:
    """Whether the decisions are surely better where outcomes are known: then it is right that they differ.

    Of a binary label by the declared costs; other labels' decisions are not held against their outcomes here.
    """
    known = np.asarray(labels.is_valid())
    if declaration.task != "binary" or known.sum() < _FEWEST_KNOWN:
        return False
    came_true = np.array(labels.drop_null().cast(pa.float64())) > 0
    costs = declaration.costs
    threshold = _threshold(declaration)

    def cost(scores: Scores) -> Scores:
        acts = scores[known] >= threshold
        return np.asarray(
            costs.false_positive * (acts & ~came_true) + costs.false_negative * (~acts & came_true)
        )

    gain = cost(theirs) - cost(ours)
    return bool(gain.mean() > _SURE * gain.std() / np.sqrt(len(gain)))


def _threshold(declaration: ModelDeclaration) -> float:
    """From which probability on acting costs less than not to act."""
    costs = declaration.costs
    return costs.false_positive / max(costs.false_positive + costs.false_negative, 1e-12)


def _gap(declaration: ModelDeclaration, scores: Scores, labels: pa.Array) -> float | None:
    known = np.asarray(labels.is_valid())
    if declaration.task != "binary" or known.sum() < _FEWEST_KNOWN:
        return None
    came_true = np.array(labels.drop_null().cast(pa.float64()))
    return float(abs(scores[known].mean() - came_true.mean()))


def _labels(published: Published, edition: Edition, declaration: ModelDeclaration, keys: Any) -> pa.Array:
    label = declaration.label
    days = published.days(label.table, edition)[-60:]
    rows = published.read(
        label.table,
        edition=edition,
        columns=[declaration.key, label.column],
        first_day=days[0] if days else None,
    )
    at = pc.index_in(keys, value_set=rows[declaration.key].cast(pa.string()))
    found = rows[label.column].take(at)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _probed(bundles: dict[str, Bundle], rows: pa.Table) -> dict[str, Any]:
    types = {field.name: field.type for field in rows.schema}
    values = list(zip(*(rows[name].to_pylist() for name in types), strict=True))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        coded = {}
        for name, bundle in bundles.items():
            bundle.write(folder / name)
            coded[name] = RowCoder(bundle.contract, types).coded(values)[0]
        np.savez(folder / "rows.npz", **coded)  # type: ignore[arg-type]
        command = [sys.executable, "-m", "ml.replay_probe", made, *bundles]
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False)
    if done.returncode:
        raise ReplayFailed(bundles["candidate"].version, done.stderr.decode(errors="replace")[-1500:])
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _row(rows: pa.Table, place: int) -> str:
    values = rows.slice(place, 1).to_pylist()[0]
    shown = ", ".join(f"{name} {value!r}" for name, value in islice(values.items(), 6))
    return f"the first is {shown}"

"""Which features drift: windows of days beside the training rows, and beside the weeks before them.

A window is held against what the model was trained on, and it counts for as much as windows of the training
days were away from it themselves. Far from both, or once jumped and far since, is drift; far without any jump
is a season that the training days did not have; a jump to what they had is the source's, not the model's.
Counting is the fingerprints' matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml.declared_drift import DriftPlan
from ml.drift.bins import Bins
from ml.drift.fingerprint import Counted, Fingerprint, quantiles
from ml.drift.measures import jensen_shannon, noise, psi

Verdict = Literal["steady", "season", "jump", "drift", "missing", "unseen", "too few"]
UNKNOWN: tuple[Verdict, ...] = ("drift", "missing", "unseen")
"""What the model was not trained on; a jump is to values that it was."""
WRONG: tuple[Verdict, ...] = ("jump", *UNKNOWN)
# Of how many windows of the past the farthest says how far is usual, and how much farther is not.
_LEAST_WINDOWS, _BEYOND = 4, 1.25
_YEAR = np.timedelta64(364, "D")  # whole weeks
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class FeatureDrift:
    """One feature in the newest window, in numbers: `*_training` beside the training rows, `*_before` beside
    the weeks before; a `limit_*` is what PSI may reach. `since` is the first day of the window that jumped.
    """

    name: str
    verdict: Verdict
    psi_training: float
    limit_training: float
    psi_before: float | None
    limit_before: float | None
    js_training: float
    psi_last_year: float | None
    missing_then: float
    missing_now: float
    unseen_share: float
    outside_share: float
    quantiles_then: tuple[float | None, ...]
    quantiles_now: tuple[float | None, ...]
    weight: float
    since: date | None = None

    @property
    def text(self) -> str:
        """What is the matter, with its numbers."""
        if self.verdict == "missing":
            return f"{self.name}: {self.missing_now:.0%} missing, {self.missing_then:.0%} when trained"
        if self.verdict == "unseen":
            return f"{self.name}: {self.unseen_share:.0%} have a value that no training row had"
        before = "" if self.psi_before is None else f", {self.psi_before:.2f} to the weeks before"
        since = f" since {self.since}" if self.since else ""
        if self.verdict == "jump":
            far = f"PSI {self.psi_before or 0:.2f} to the weeks before (limit {self.limit_before or 0:.2f})"
            return f"{self.name}: jump to values that were trained on, {far}"
        limit = f"(limit {self.limit_training:.2f})"
        return f"{self.name}: {self.verdict}{since}, PSI {self.psi_training:.2f} to training {limit}{before}"


@dataclass(frozen=True)
class Watched:
    """All features in the newest window, the worst first, and by feature PSI beside training by day.

    `drifting_share` is the part of the model's gain that rests on features that are not as it was trained on.
    """

    first_day: date
    last_day: date
    n_rows: int
    features: tuple[FeatureDrift, ...]
    days: tuple[date, ...]
    psi_by_day: Mapping[str, tuple[float, ...]]

    @property
    def drifting(self) -> tuple[FeatureDrift, ...]:
        return tuple(one for one in self.features if one.verdict in WRONG)

    @property
    def unknown(self) -> tuple[FeatureDrift, ...]:
        """Those that are not as the model was trained on."""
        return tuple(one for one in self.features if one.verdict in UNKNOWN)

    @property
    def drifting_share(self) -> float:
        return float(sum(one.weight for one in self.unknown))


def watch(
    trained: Fingerprint,
    by_day: Mapping[date, Fingerprint],
    trained_until: date,
    plan: DriftPlan,
    weights: Mapping[str, float] | None = None,
) -> Watched | None:
    """What the newest window of days shows; `by_day` reaches back into the training days as far as is known.

    `weights` say how much a feature matters, together 1; without, all matter alike. None without any day.
    """
    days = sorted(by_day)
    if not days:
        return None
    found = [
        _Feature(
            bins, then, _Days.of(days, [by_day[day].columns[n] for day in days]), trained_until, plan
        ).told()
        for n, (bins, then) in enumerate(zip(trained.bins, trained.columns, strict=True))
    ]
    share = 1 / max(len(found), 1)
    weighed = [
        FeatureDrift(**{**one, "weight": share if weights is None else weights.get(one["name"], 0.0)})
        for one, _ in found
    ]
    window = [day for day in days if day > days[-1] - timedelta(days=plan.window_days)]
    n_rows = sum(by_day[day].n_rows for day in window)
    shown = tuple(day for day in days if day > trained_until) or (days[-1],)
    psis = {one["name"]: tuple(series[-len(shown) :].tolist()) for one, series in found}
    ordered = tuple(sorted(weighed, key=_worst))
    return Watched(window[0], days[-1], n_rows, ordered, shown, psis)


def _worst(one: FeatureDrift) -> tuple[bool, float]:
    return one.verdict not in WRONG, -one.psi_training / max(one.limit_training, 1e-9)


@dataclass(frozen=True)
class _Days:
    """One feature by day: sums up to each day, so that any span of days is a difference of two."""

    days: NDArray[Any]
    sums: NDArray[np.int64]  # (days + 1, bins + 2): counts, then missing, then rows

    @classmethod
    def of(cls, days: Sequence[date], counted: Sequence[Counted]) -> "_Days":
        rows = np.array([[*one.counts, one.n_missing, one.n_rows] for one in counted], dtype=np.int64)
        sums = np.concatenate([np.zeros((1, rows.shape[1]), np.int64), rows.cumsum(axis=0)])
        return cls(np.array(days, dtype="datetime64[D]"), sums)

    def spans(self, ends: NDArray[Any], n_days: int, back: int = 0) -> NDArray[np.int64]:
        """For each end the sums of the `n_days` until `back` days before it."""
        last = ends - np.timedelta64(back, "D")
        upto = np.searchsorted(self.days, last, side="right")
        start = np.searchsorted(self.days, last - np.timedelta64(n_days, "D"), side="right")
        return np.asarray(self.sums[upto] - self.sums[start])


@dataclass(frozen=True)
class _Feature:
    """One feature: for each day the window that ends on it, beside training and beside the weeks before."""

    bins: Bins
    then: Counted
    of: _Days
    trained_until: date
    plan: DriftPlan

    @cached_property
    def now(self) -> NDArray[np.int64]:
        return self.of.spans(self.of.days, self.plan.window_days)

    @cached_property
    def before(self) -> NDArray[np.int64]:
        return self.of.spans(self.of.days, self.plan.preceding_weeks * 7, self.plan.window_days)

    @cached_property
    def far(self) -> NDArray[np.float64]:
        return _psi(np.array(self.then.counts), self.now[:, :-2])

    @cached_property
    def jump(self) -> NDArray[np.float64]:
        return _psi(self.before[:, :-2], self.now[:, :-2])

    @cached_property
    def is_whole(self) -> NDArray[np.bool_]:
        """Whether the days reach back over the window."""
        return self._reaches(self.plan.window_days)

    @cached_property
    def has_before(self) -> NDArray[np.bool_]:
        """Whether they reach back over the weeks before it, too."""
        return self._reaches(self.plan.window_days + self.plan.preceding_weeks * 7)

    @cached_property
    def is_trained(self) -> NDArray[np.bool_]:
        return np.asarray(self.of.days <= np.datetime64(self.trained_until))

    @cached_property
    def limit(self) -> NDArray[np.float64]:
        past = self.far[self.is_trained & self.is_whole]
        return self._limit(past, np.full(len(self.now), sum(self.then.counts)))

    @cached_property
    def jump_limit(self) -> NDArray[np.float64]:
        past = self.jump[self.is_trained & self.has_before]
        return self._limit(past, self.before[:, :-2].sum(axis=1))

    def told(self) -> tuple[dict[str, Any], NDArray[np.float64]]:
        """The fields of its FeatureDrift but for the weight, and PSI to training by day."""
        now, has_before = self.now[-1], bool(self.has_before[-1])
        counts = now[:-2]
        unseen, outside = _beyond(self.bins, counts)
        told: dict[str, Any] = {
            "name": self.bins.name,
            "psi_training": _plain(self.far[-1]),
            "limit_training": float(self.limit[-1]),
            "psi_before": _plain(self.jump[-1]) if has_before else None,
            "limit_before": float(self.jump_limit[-1]) if has_before else None,
            "js_training": _plain(jensen_shannon(np.array(self.then.counts), counts)),
            "psi_last_year": self._last_year(),
            "missing_then": self.then.missing_share,
            "missing_now": float(now[-2] / now[-1]) if now[-1] else 0.0,
            "unseen_share": unseen,
            "outside_share": outside,
            "quantiles_then": _then(self.bins, self.then),
            "quantiles_now": _now(self.bins, counts),
        }
        since = self._since()
        told["verdict"] = self._verdict(told, since, int(now[-1]))
        told["since"] = since if told["verdict"] == "drift" else None
        return told, np.nan_to_num(self.far)

    def _verdict(self, told: Mapping[str, Any], since: date | None, n_rows: int) -> Verdict:
        if n_rows < self.plan.min_rows:
            return "too few"
        if told["missing_now"] > self._usual_missing() + self.plan.max_missing:
            return "missing"
        if told["unseen_share"] > self.plan.max_unseen:
            return "unseen"
        last_year = told["psi_last_year"]
        if told["psi_training"] <= told["limit_training"]:
            is_known = last_year is not None and last_year <= told["limit_training"]
            return "jump" if self._jumps_now() and not is_known else "steady"
        if last_year is not None and last_year <= told["limit_training"]:
            return "season"
        return "drift" if since else "season"

    def _jumps_now(self) -> bool:
        return bool(self.has_before[-1] and not self.is_trained[-1] and self.jump[-1] > self.jump_limit[-1])

    def _since(self) -> date | None:
        """The day of the jump that the feature is far since; None where there was none.

        Without enough days before the window nothing can tell a season, and far is what it is.
        """
        is_far = self.far > self.limit
        if not is_far[-1]:
            return None
        near = np.flatnonzero(~is_far)
        first_far = int(near[-1]) + 1 if len(near) else 0
        # It may have left the weeks before a little earlier.
        first_seen = max(first_far - self.plan.window_days, 0)
        jumped = self.has_before & ~self.is_trained & (self.jump > self.jump_limit)
        jumps = np.flatnonzero(jumped[first_seen:])
        found: date | None = None
        if len(jumps):
            found = self.of.days[first_seen + int(jumps[0])].astype(date)
        elif not self.has_before[-1]:
            found = self.of.days[first_far].astype(date)
        return found

    def _last_year(self) -> float | None:
        """To the nearest window of about the same days a year ago; None where there was none."""
        window = self.plan.window_days
        ends = self.of.days[-1] - _YEAR + np.arange(-window, window + 1)
        found = _psi(self.of.spans(ends, window)[:, :-2], self.now[-1, :-2])
        found = found[np.isfinite(found)]
        return float(found.min()) if len(found) else None

    def _usual_missing(self) -> float:
        rows = self.now[self.is_trained & self.is_whole]
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = rows[:, -2] / rows[:, -1]
        known: list[float] = shares[np.isfinite(shares)].tolist()
        return max([self.then.missing_share, *known])

    def _limit(self, past: NDArray[np.float64], n_then: NDArray[Any]) -> NDArray[np.float64]:
        """What PSI may reach: the declared bound, what windows of the training days reached and some more,
        or what chance alone makes of so few rows.
        """
        known, least = past[np.isfinite(past)], self.plan.max_psi
        if len(known) >= _LEAST_WINDOWS * self.plan.window_days:
            least = max(least, _BEYOND * float(known.max()))
        n_now = np.maximum(self.now[:, :-2].sum(axis=1), 1)
        chance: NDArray[np.float64] = noise(self.bins.n_bins, np.maximum(n_then, 1), n_now)
        return np.maximum(least, chance)

    def _reaches(self, n_days: int) -> NDArray[np.bool_]:
        return np.asarray(self.of.days >= self.of.days[0] + np.timedelta64(n_days - 1, "D"))


def _psi(then: NDArray[Any], now: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(psi(then, now), dtype=np.float64)


def _beyond(bins: Bins, counts: NDArray[np.int64]) -> tuple[float, float]:
    """The shares of values that no training row had, and of numbers out of the training rows' range."""
    n_known = counts.sum()
    if not n_known:
        return 0.0, 0.0
    if bins.is_number:
        return 0.0, float((counts[0] + counts[-1]) / n_known)
    return float(counts[-1] / n_known), 0.0


def _then(bins: Bins, counted: Counted) -> tuple[float | None, ...]:
    return tuple(quantiles(bins, counted, _QUANTILES)) if bins.is_number else ()


def _now(bins: Bins, counts: NDArray[np.int64]) -> tuple[float | None, ...]:
    """Of a window, whose least and greatest value are not known: the outermost edges stand for them."""
    if not bins.is_number or not counts.sum():
        return ()
    filled = np.flatnonzero(counts)
    low, high = (bins.edges[min(max(int(n), 0), len(bins.edges) - 1)] for n in (filled[0] - 1, filled[-1]))
    counted = Counted(int(counts.sum()), 0, tuple(int(one) for one in counts), low, max(low, high))
    return tuple(quantiles(bins, counted, _QUANTILES))


def _plain(value: Any) -> float:
    return float(value) if np.isfinite(value) else 0.0

"""What the assets show that look at a model after its training: numbers, pictures, and their checks.

Nothing is computed here that is not shown.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.components.model_metadata import Metadata, pictures_of
from assets.components.observed_steps import Predicted, Seen
from ml.analysis.slices import Slice as Part
from ml.coming import summary
from ml.declaration import ModelDeclaration
from ml.drift.watching import FeatureDrift
from ml.live_quality import LiveQuality, Slice
from ml.observing import Drift
from ml.quality import Quality, Value

_NONE = [dg.TableRecord({"none": ""})]
_FIRST_ROWS = 20
_SHOWN_DAYS, _SHOWN_FEATURES, _SHOWN_SLICES = 90, 30, 12


def of_quality(seen: Seen[Quality]) -> Metadata:
    """The newest window by model; the champion's figure is one that is plotted over time."""
    made = seen.what
    recent = {one.role: one for one in made.recent}
    plotted = {f"{role}_{made.metric}": one.value for role, one in recent.items() if one.value is not None}
    days = [one for one in made.by_day if one.role == "champion"]
    return {
        **plotted,
        "labels_open": sum(one.n_rows - one.n_known for one in days),
        "window": dg.MetadataValue.table(records=[_value(one, made.metric) for one in made.recent] or _NONE),
        "judged_by": dg.MetadataValue.table(
            records=[_value(made.judged_by, made.metric)] if made.judged_by else _NONE
        ),
        "days": dg.MetadataValue.table(
            records=[_value(one, made.metric) for one in made.by_day[-_SHOWN_DAYS:]] or _NONE
        ),
        "slices": dg.MetadataValue.table(
            records=[_part(one, made.metric) for one in made.slices[:_SHOWN_SLICES]] or _NONE
        ),
        "edition": made.edition,
        **pictures_of(seen.pictures),
    }


def check_of_quality(name: str, declaration: ModelDeclaration, made: Quality) -> dg.AssetCheckResult:
    """Fails where the champion is surely worse than it was, or than the baseline."""
    policy = declaration.retrain.quality
    faults = []
    recent = {one.role: one for one in made.recent}
    champion, plain = recent.get("champion"), recent.get("baseline")
    if champion is None or champion.value is None:
        return dg.AssetCheckResult(check_name=name, passed=True, description="no labelled day after it yet")
    told = f"{made.metric} {_number(champion.value)} from {champion.first_day} to {champion.last_day}"
    if made.fallen(champion, policy.max_drop if policy else 0.0):
        was = made.judged_by.value if made.judged_by else None
        faults.append(f"{told} is surely worse than {_number(was)}, which it was judged by")
    if plain and plain.value is not None and _surely_worse(champion, plain.value, made):
        faults.append(f"{told} is surely worse than the baseline's {_number(plain.value)}")
    return dg.AssetCheckResult(
        check_name=name,
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(faults) or told,
    )


def of_drift(seen: Seen[Drift]) -> Metadata:
    """The features by how far they are beyond their limit; the share that drifts is plotted over time."""
    made = seen.what.features
    scores = seen.what.scores.features if seen.what.scores else ()
    return {
        "drifting_share": made.drifting_share,
        "features_drifting": len(made.drifting),
        **({"score_psi": scores[0].psi_training} if scores else {}),
        "window": f"{made.first_day} to {made.last_day}, {made.n_rows:,} rows",
        "features": dg.MetadataValue.table(
            records=[_feature(one) for one in (*scores, *made.features[:_SHOWN_FEATURES])]
        ),
        "edition": seen.what.edition,
        **pictures_of(seen.pictures),
    }


def check_of_drift(name: str, made: Drift) -> dg.AssetCheckResult:
    """Fails where a feature or the scores are not as they were."""
    scores = made.scores.drifting if made.scores else ()
    faults = [one.text for one in (*scores, *made.features.drifting)]
    return dg.AssetCheckResult(
        check_name=name,
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(faults) or f"{len(made.features.features)} features within their bounds",
        metadata={"share of the gain": made.features.drifting_share},
    )


def of_live_quality(made: LiveQuality) -> Metadata:
    """Of each version in all and by day; the newest version's figure is one that is plotted over time."""
    newest = max(made.in_all, key=lambda one: one.n_predicted)
    value = {f"live_{made.metric}": newest.value} if newest.value is not None else {}
    return {
        **value,
        "predictions": sum(one.n_predicted for one in made.in_all),
        "outcomes_known": sum(one.n_known for one in made.in_all),
        "versions": dg.MetadataValue.table(records=[_served(one, made.metric) for one in made.in_all]),
        "days": dg.MetadataValue.table(records=[_served(one, made.metric) for one in made.by_day[-90:]]),
        "edition": made.edition,
    }


def _served(one: Slice, metric: str) -> dg.TableRecord:
    told = {"day": str(one.day or "all"), "version": one.version[:12], "predictions": one.n_predicted}
    told |= {"outcomes known": one.n_known, "open": round(one.open_share, 4)}
    numbers = {metric: one.value, "low": one.low, "high": one.high}
    return dg.TableRecord(told | {k: "" if v is None else str(round(v, 4)) for k, v in numbers.items()})


def _value(one: Value, metric: str) -> dg.TableRecord:
    told = {"model": one.role, "version": one.version[:12], "first_day": str(one.first_day)}
    told |= {"last_day": str(one.last_day), "rows": one.n_rows, "open": round(one.open_share, 4)}
    numbers = {metric: one.value, "low": one.low, "high": one.high}
    return dg.TableRecord(told | {name: _number(value) for name, value in numbers.items()})


def _part(one: Part, metric: str) -> dg.TableRecord:
    numbers = {metric: one.metric, "worse_by": one.worse_by}
    sure = {"low": one.interval.low, "high": one.interval.high} if one.interval else {}
    told: dict[str, Any] = {"column": one.column, "value": one.value, "rows": one.n_rows}
    empty = {"low": None, "high": None}
    return dg.TableRecord(told | {k: _number(v) for k, v in (numbers | empty | sure).items()})


def _feature(one: FeatureDrift) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "feature": one.name,
            "is": one.verdict + (f" since {one.since}" if one.since else ""),
            "PSI to training": round(one.psi_training, 3),
            "limit": round(one.limit_training, 3),
            "PSI to weeks before": _number(one.psi_before),
            "Jensen-Shannon": round(one.js_training, 3),
            "missing": f"{one.missing_now:.1%} (was {one.missing_then:.1%})",
            "never seen": f"{one.unseen_share:.1%}",
            "out of range": f"{one.outside_share:.1%}",
            "median": f"{_median(one.quantiles_now)} (was {_median(one.quantiles_then)})",
            "share of the gain": round(one.weight, 4),
        }
    )


def _median(quantiles: tuple[float | None, ...]) -> str:
    middle = quantiles[len(quantiles) // 2] if quantiles else None
    return "" if middle is None else f"{middle:.4g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _surely_worse(one: Value, than: float, made: Quality) -> bool:
    if one.low is None or one.high is None:
        return False
    return one.high < than if made.higher_is_better else one.low > than


def of_batch(made: Predicted) -> Metadata:
    """Which version was asked, over what, and the beginning of what it said."""
    batch = made.batch
    first = [dg.TableRecord(_shown(row)) for row in batch.rows.slice(0, _FIRST_ROWS).to_pylist()]
    return {
        "dagster/row_count": batch.rows.num_rows,
        "version": batch.version,
        "edition": batch.edition,
        "features_as_of": str(batch.as_of),
        **{f"predictions_{name}": value for name, value in summary(batch).items() if name != "rows"},
        **({"first": dg.MetadataValue.table(records=first)} if first else {}),
        "path": dg.MetadataValue.path(str(made.path)),
    }


def _shown(row: Mapping[str, Any]) -> dict[str, str | int | float | bool | None]:
    return {
        name: value if value is None or isinstance(value, str | int | float) else str(value)
        for name, value in row.items()
    }

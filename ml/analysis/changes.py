"""What is other in a candidate than in the champion it would replace: declaration, data, libraries.

Which of the two is better is the evaluation's matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml.bundle import Bundle


@dataclass(frozen=True)
class Change:
    """One thing, as it is in the champion (`before`) and in the candidate (`now`); empty where it is not."""

    what: str
    before: str
    now: str


def changes(candidate: Bundle, champion: Bundle) -> tuple[Change, ...]:
    """Everything that differs, in a fixed order; empty when both were made alike."""
    return tuple(_found(candidate, champion))


def _found(candidate: Bundle, champion: Bundle) -> Iterator[Change]:
    one, other = candidate.declaration, champion.declaration
    added = [name for name in one.features.columns if name not in other.features.columns]
    removed = [name for name in other.features.columns if name not in one.features.columns]
    if added or removed:
        yield Change("features", ", ".join(removed), ", ".join(added))
    yield from _differing("label", other.label.model_dump(), one.label.model_dump())
    yield from _differing("engine", other.engine.model_dump(), one.engine.model_dump())
    yield from _differing(
        "calibration",
        other.calibration.model_dump() if other.calibration else {},
        one.calibration.model_dump() if one.calibration else {},
    )
    yield from _differing("split", other.split.model_dump(), one.split.model_dump())
    if candidate.feature_sql != champion.feature_sql:
        yield Change(
            "feature SQL",
            champion.receipt["feature_sql_sha256"][:12],
            candidate.receipt["feature_sql_sha256"][:12],
        )
    for bundle_part in ("first_day", "last_day", "n_rows"):
        before, now = (bundle.receipt["rows"][bundle_part] for bundle in (champion, candidate))
        if before != now:
            yield Change(f"training rows, {bundle_part}", str(before), str(now))
    yield from _differing("version of", champion.receipt["versions"], candidate.receipt["versions"])


def _differing(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *now}):
        one, other = before.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differing(f"{what} {name}", one, other)
        elif one != other:
            yield Change(f"{what} {name}", _text(one), _text(other))


def _text(value: Any) -> str:
    return "" if value is None else str(value)

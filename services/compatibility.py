"""Whether a version may follow another while callers ask: what was a good request must stay one.

Values of features may change freely; nobody sends those to /predict.
"""

from collections.abc import Iterator

from ml.contract import Contract
from ml.feature_definition import Column, Scalar


def broken_promises(before: Contract, after: Contract) -> list[str]:
    """What callers of `before` would find changed, in words; empty when nothing is."""
    return list(_broken(before, after))


def _broken(before: Contract, after: Contract) -> Iterator[str]:
    if after.task != before.task:
        yield f"its task is {after.task}, not {before.task}"
    if set(before.classes) - set(after.classes):
        yield f"it lacks classes {', '.join(sorted(set(before.classes) - set(after.classes)))}"
    columns = {column.name: column for column in after.request}
    known = {column.name for column in before.request}
    for column in before.request:
        if column.name not in columns:
            yield f'it takes no "{column.name}"'
        else:
            yield from _narrowed(column, columns[column.name])
    for column in after.request:
        if column.name not in known and column.is_required:
            yield f'it requires "{column.name}"'


def _narrowed(before: Column, after: Column) -> Iterator[str]:
    name = f'"{before.name}"'
    if after.kind != before.kind and (before.kind, after.kind) != ("integer", "real"):
        yield f"{name} is {after.kind}, not {before.kind}"
    if after.is_required and not before.is_required:
        yield f"{name} is required"
    if after.minimum is not None and not _within(before.minimum, after.minimum, 1):
        yield f"{name} must be at least {after.minimum}"
    if after.maximum is not None and not _within(before.maximum, after.maximum, -1):
        yield f"{name} must be at most {after.maximum}"


def _within(before: Scalar | None, after: Scalar, sign: int) -> bool:
    """Whether a bound, lower with sign 1 and upper with -1, leaves in what the one before let in."""
    if isinstance(before, int | float) and isinstance(after, int | float):
        return sign * after <= sign * before
    return before == after

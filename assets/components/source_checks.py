"""What the UI shows of a source's bad rows and of changes in its files: metadata by day, and two checks.

Which rows are bad, and what changed, is `ml.sources`' to say.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from assets.keys import raw_key
from ml.sources import Source
from ml.sources.quarantine import BadCell, Change, DayReport, Report

QUARANTINE_CHECK = "quarantine"
DRIFT_CHECK = "drift"
_BAR = 20  # characters


def check_specs(source: Source) -> list[dg.AssetCheckSpec]:
    """The two checks of a source's raw rows; neither blocks, since what is fatal refuses the file."""
    return [
        dg.AssetCheckSpec(
            QUARANTINE_CHECK,
            asset=raw_key(source.name),
            description=(
                "No row breaks a rule. Rows that do are in `raw.quarantine` and not in raw; more than "
                f"{source.bad_rows.max_share:.1%} of a file refuse it whole."
            ),
        ),
        dg.AssetCheckSpec(
            DRIFT_CHECK,
            asset=raw_key(source.name),
            description=(
                "Files are as the days before were: columns, their order and types, categories, units. What "
                "each kind of change leads to is declared under `drift`."
            ),
        ),
    ]


def day_metadata(day: DayReport, sample: Sequence[BadCell]) -> dict[str, Any]:
    """A partition's own figures: numbers are plotted over partitions, tables are there when needed."""
    kinds = Counter(change.kind for change in day.changes)
    told: dict[str, Any] = {
        "dagster/partition_row_count": day.n_rows,
        "rows_quarantined": day.n_bad,
        "share_quarantined": round(day.bad_share, 6),
        "changes": sum(kinds.values()),
        **{f"changes/{kind}": n for kind, n in kinds.items()},
        **{f"quarantined/{_rule(column, rule)}": n for column, rule, n in day.by_rule},
    }
    of_day = [cell for cell in sample if cell.day == day.day]
    if of_day:
        told["quarantine_sample"] = _cells(of_day)
    if day.changes:
        told["what_changed"] = _changes(day.changes)
    return told


def check_results(source: Source, report: Report) -> list[dg.AssetCheckResult]:
    """Both checks for the days of a run, with the trend of the days up to the last of them."""
    return [_quarantine(source, report), _drift(source, report)]


def _quarantine(source: Source, report: Report) -> dg.AssetCheckResult:
    by_rule: Counter[str] = Counter()
    for day in report.days:
        for column, rule, n in day.by_rule:
            by_rule[_rule(column, rule)] += n
    n_bad, n_rows = sum(day.n_bad for day in report.days), sum(day.n_rows for day in report.days)
    metadata: dict[str, Any] = {
        "rows_quarantined": n_bad,
        "share_quarantined": round(n_bad / max(n_rows + n_bad, 1), 6),
        "share_allowed": source.bad_rows.max_share if source.bad_rows.action == "quarantine" else 0.0,
        "trend": dg.MetadataValue.md(_trend(report.trend)),
    }
    if n_bad:
        metadata["by_rule"] = _table({"rule": rule, "rows": n} for rule, n in by_rule.most_common())
        metadata["sample"] = _cells(report.sample[:20])
    return dg.AssetCheckResult(
        check_name=QUARANTINE_CHECK,
        asset_key=raw_key(source.name),
        passed=n_bad == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=_rows_told(n_bad, by_rule),
        metadata=metadata,
    )


def _drift(source: Source, report: Report) -> dg.AssetCheckResult:
    changes = [change for day in report.days for change in day.changes]
    kinds = Counter(change.kind for change in changes)
    metadata: dict[str, Any] = {"changes": len(changes), **kinds}
    if changes:
        metadata["what_changed"] = _changes(changes[-50:])
    return dg.AssetCheckResult(
        check_name=DRIFT_CHECK,
        asset_key=raw_key(source.name),
        passed=all(change.action == "inform" for change in changes),
        severity=dg.AssetCheckSeverity.WARN,
        description=_changes_told(changes),
        metadata=metadata,
    )


def _rows_told(n_bad: int, by_rule: Counter[str]) -> str:
    if not n_bad:
        return "no row breaks a rule"
    most = ", ".join(f"{rule} ({n:,})" for rule, n in by_rule.most_common(3))
    return f"{n_bad:,} rows break a rule and are kept out: {most}"


def _changes_told(changes: Sequence[Change]) -> str:
    """Each column's newest change, those that were only told of left out where there are others."""
    grave = [change for change in changes if change.action != "inform"] or changes
    newest = {(change.kind, change.column): change for change in grave}
    if not newest:
        return "files are as the days before were"
    told = [
        f"{one.kind} of {one.column}: {one.found}, expected {one.expected}"
        for one in list(newest.values())[:5]
    ]
    return "; ".join(told) + (f" and {len(newest) - 5} more" if len(newest) > 5 else "")  # noqa: PLR2004


def _rule(column: str | None, rule: str) -> str:
    return f"{column} {rule}" if column else f"row {rule}"


def _trend(days: Sequence[DayReport]) -> str:
    most = max((day.n_bad for day in days), default=0) or 1
    lines = [
        f"| {day.day or ''} | {day.n_rows:,} | {day.n_bad:,} | {day.bad_share:.2%} "
        f"| {'█' * round(_BAR * day.n_bad / most)} | {len(day.changes) or ''} |"
        for day in days
    ]
    return "\n".join(["| day | rows | bad | share | | changes |", "|---|--:|--:|--:|---|--:|", *lines])


def _cells(cells: Iterable[BadCell]) -> dg.TableMetadataValue:
    return _table(
        {
            "file": cell.file,
            "sha256": cell.sha256[:12],
            "row": cell.row_number,
            "column": cell.column or "",
            "value": cell.value or "",
            "rule": cell.rule,
        }
        for cell in cells
    )


def _changes(changes: Iterable[Change]) -> dg.TableMetadataValue:
    return _table(
        {
            "day": str(change.day or ""),
            "kind": change.kind,
            "column": change.column,
            "found": change.found,
            "expected": change.expected,
            "action": change.action,
        }
        for change in changes
    )


def _table(rows: Iterable[dict[str, Any]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows])

"""What each asset of a model shows in the UI: numbers, reasons and pictures as metadata.

Nothing is computed here that is not shown.
"""

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.components.model_steps import Backtested, Judged
from assets.keys import SEARCH_TRIALS, SEARCHED
from ml.analysis.contributions import Contributions
from ml.analysis.uncalibrated import gap
from ml.backtest import Backtest, Fold, Measured
from ml.bundle import Bundle
from ml.evaluation import Evaluation
from ml.gate import PairedTest
from ml.metrics import first_metric
from ml.plots import Picture
from ml.promotion import Outcome
from ml.provenance import FILE, Provenance
from ml.search import Progress
from ml.training_set import Manifest, Part

Metadata = dict[str, Any]
_TOP_FEATURES = 15


def of_training_set(manifest: Manifest) -> Metadata:
    """Days, rows and hashes of both sides of the split."""
    sides = {"train": manifest.train, "test": manifest.test}
    return {
        "dagster/row_count": manifest.train.n_rows + manifest.test.n_rows,
        "split": dg.MetadataValue.table(records=[_side(name, part) for name, part in sides.items()]),
        "edition": manifest.edition_id,
        "columns": len(manifest.selection.columns),
    }


def of_candidate(bundle: Bundle, uri: str) -> Metadata:
    """The version, where it is kept and what it was made with."""
    return {
        "version": bundle.version,
        "bundle": dg.MetadataValue.path(uri.removeprefix("file://")),
        "bytes": sum(len(content) for content in bundle.files.values()),
        "trained_until": str(bundle.receipt["rows"]["last_day"]),
        **_searched(bundle),
        "engine": ", ".join(f"{name} {version}" for name, version in bundle.receipt["versions"].items()),
        **_receipt(bundle),
    }


def _receipt(bundle: Bundle) -> Metadata:
    """What the version was made from, each input with what names it, and the command that makes it again."""
    if FILE not in bundle.files:
        return {}
    made = Provenance.from_json(bundle.files[FILE])
    return {
        "receipt": dg.MetadataValue.table(
            records=[dg.TableRecord({"input": name, "named by": by}) for name, by in made.told()]
        ),
        "rebuild": f"headwater rebuild {bundle.version[:12]}",
    }


def observed(key: dg.AssetKey, progress: Progress) -> dg.AssetObservation:
    """Where a search stands, to be seen, and plotted over the trials, while it runs."""
    seen: Metadata = {SEARCHED: progress.n_done, "search": str(progress)}
    if progress.n_trials:
        seen[SEARCH_TRIALS] = progress.n_trials
    if progress.best is not None:
        seen |= {f"best_{progress.metric}": progress.best, "best_parameters": dict(progress.parameters)}
    if progress.value is not None:
        seen[progress.metric] = progress.value
    return dg.AssetObservation(key, metadata=seen)


def _searched(bundle: Bundle) -> Metadata:
    found = bundle.receipt.get("search")
    if not found:
        return {}
    return {
        "search": f"{found['n_trials']} trials, {found['n_pruned']} of them given up early",
        f"searched_{found['metric']}": found["value"],
        "parameters_found": dg.MetadataValue.json(found["parameters"]),
    }


def of_evaluation(judged: Judged) -> Metadata:
    """Metrics, the decision and the pictures; the whole report stands at `report`."""
    evaluation, report = judged.evaluation, f"{judged.uri}/report.html"
    return {
        **{name: round(value, 5) for name, value in evaluation.metrics.items()},
        **_intervals(evaluation),
        "worse_on": ", ".join(f"{one.column} {one.value}" for one in evaluation.analysis.worse) or "no slice",
        **_calibration(evaluation),
        **_baseline(evaluation),
        "decision": f"{'promote' if judged.decision.promote else 'refuse'}: {judged.decision.text}",
        **of_test(judged.decision.test),
        "test_days": f"{evaluation.first_day} to {evaluation.last_day}",
        "test_rows": evaluation.n_rows,
        "base_rate": round(evaluation.label_mean, 5),
        "report": dg.MetadataValue.url(report) if report.startswith("http") else _file(report),
        "card": dg.MetadataValue.md(judged.card),
        **pictures_of(judged.pictures),
        "importances_table": dg.MetadataValue.table(records=_importances(evaluation)),
    }


def _intervals(evaluation: Evaluation) -> Metadata:
    sure = evaluation.analysis.intervals
    if not sure:
        return {}
    records = [
        dg.TableRecord({"metric": name, "low": round(one.low, 4), "high": round(one.high, 4)})
        for name, one in sure.items()
    ]
    return {"intervals_95": dg.MetadataValue.table(records=records)}


def _calibration(evaluation: Evaluation) -> Metadata:
    """Metrics before and after a declared calibration."""
    before = evaluation.uncalibrated
    if before is None:
        return {}
    pairs = {name: (before.metrics[name], value) for name, value in evaluation.metrics.items()}
    if "calibration_error" not in pairs:
        pairs["mean_gap"] = (gap(before.calibration), gap(evaluation.calibration))
    beside = [
        dg.TableRecord({"metric": name, "before": round(one, 5), "after": round(other, 5)})
        for name, (one, other) in pairs.items()
    ]
    return {f"calibration_{before.method}": dg.MetadataValue.table(records=beside)}


def of_backtest(made: Backtested) -> Metadata:
    """Each fold's numbers, the spread over folds, and the picture."""
    over = made.backtest
    metric = first_metric(over.task).name
    least, mean, greatest = over.spread or (None, None, None)
    spread = {"least": least, "mean": mean, "greatest": greatest}
    return {
        "folds": dg.MetadataValue.table(records=[_fold(fold, over) for fold in over.folds]),
        **{f"{metric}_{name}": round(value, 5) for name, value in spread.items() if value is not None},
        "parameters": over.parameters,
        "edition": over.edition,
        "code": over.code,
        "kept_at": _file(made.uri),
        **pictures_of(made.pictures),
    }


def _fold(fold: Fold, over: Backtest) -> dg.TableRecord:
    metric, outcome = first_metric(over.task).name, fold.outcome
    told = {"fold": fold.name, "trained_on": f"{fold.trained.first_day} to {fold.trained.last_day}"}
    if not isinstance(outcome, Measured):
        return dg.TableRecord(told | {"rows": 0, metric: "", "low": "", "high": "", "lacks": outcome})
    sure = outcome.intervals.get(metric)
    numbers = {
        metric: round(outcome.metrics[metric], 5),
        "low": round(sure.low, 5) if sure else "",
        "high": round(sure.high, 5) if sure else "",
        f"baseline_{over.baseline}": round(outcome.baseline[metric], 5),
    }
    return dg.TableRecord({**told, "rows": outcome.n_rows, **numbers, "lacks": ""})


def of_outcome(outcome: Outcome) -> Metadata:
    """What the ledger says now, and the test that it rests on."""
    told = {"version": outcome.champion, "outcome": outcome.kind, "reason": outcome.text}
    numbers = outcome.entry.details.get("test")
    return told | of_test(PairedTest(**numbers) if numbers else None)


def of_test(test: PairedTest | None) -> Metadata:
    """The numbers of the test beside the champion; nothing where there was none."""
    if test is None:
        return {}
    numbers = {
        "test_difference": test.difference,
        "test_interval_low": test.low,
        "test_interval_high": test.high,
        "test_p_value": test.p_value,
        "test_level_spent": test.level,
        "test_level_left": test.left,
    }
    return {name: float(f"{value:.4g}") for name, value in numbers.items() if value is not None}


def _importances(evaluation: Evaluation) -> list[dg.TableRecord]:
    found = evaluation.contributions
    adds = {one.feature: one.mean for one in found.features} if isinstance(found, Contributions) else {}
    return [
        dg.TableRecord(
            {
                "feature": one.feature,
                "gain_share": round(one.gain_share, 4),
                "splits": one.n_splits or 0,
                "mean_contribution": round(adds[one.feature], 4) if adds else "",
            }
        )
        for one in evaluation.importances[:_TOP_FEATURES]
    ]


def _baseline(evaluation: Evaluation) -> Metadata:
    plain = evaluation.baseline
    if plain is None:
        return {}
    beside = [
        dg.TableRecord(
            {"metric": name, "candidate": round(value, 5), plain.engine: round(plain.metrics[name], 5)}
        )
        for name, value in evaluation.metrics.items()
    ]
    return {"beside_baseline": dg.MetadataValue.table(records=beside)}


def _side(name: str, part: Part) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "side": name,
            "first_day": str(part.first_day),
            "last_day": str(part.last_day),
            "days": part.n_days,
            "rows": part.n_rows,
            "label_mean": "" if part.label_mean is None else round(part.label_mean, 4),
            "rows_sha256": part.rows_sha256[:16],
        }
    )


def _file(uri: str) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.path(uri.removeprefix("file://"))


def pictures_of(pictures: Mapping[str, Picture]) -> Metadata:
    shown = {}
    for name, picture in pictures.items():
        encoded = base64.b64encode(picture.png).decode()
        shown[name] = dg.MetadataValue.md(f"![{picture.alt}](data:image/png;base64,{encoded})")
    return shown

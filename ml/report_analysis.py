"""The parts of a report about an analysis: slices, costs, features, cases, and what changed.

The page around them is `report`'s; what is measured, `ml.analysis`'.
"""

from html import escape

from ml.analysis.contributions import Contributions
from ml.analysis.slices import Slice
from ml.analysis.thresholds import cheapest
from ml.analysis.uncalibrated import Uncalibrated, gap
from ml.backtest import Backtest
from ml.evaluation import Evaluation
from ml.metrics import METRICS, metric_of
from ml.report_html import count, folded, number, table

_SHOWN_SLICES = 12
_SHOWN_FEATURES = 8
_EVERY = 5  # threshold


def slices(evaluation: Evaluation, metric: str) -> str:
    """The slices, the worst first, and those that are surely worse by name."""
    analysis = evaluation.analysis
    if not analysis.slices:
        return (
            "<p>No slices are declared (<code>slices: {columns: [...]}</code>), or none has rows enough.</p>"
        )
    named = ", ".join(f"{one.column} {one.value}" for one in analysis.worse[:_SHOWN_SLICES])
    title = metric_of(evaluation.task, metric).title
    said = (
        f"Surely worse than on all rows: {named}."
        if named
        else "On none is it surely worse than on all rows."
    )
    header = (
        "column",
        "value",
        "rows",
        "mean label",
        "mean score",
        title,
        "worse by",
        "95 % interval of that",
    )
    rows = [_slice(one) for one in analysis.slices]
    shown = table(header, rows[:_SHOWN_SLICES], numeric=range(2, 8), names=True)
    rest = folded(
        f"{len(rows) - _SHOWN_SLICES} more",
        table(header, rows[_SHOWN_SLICES:], numeric=range(2, 8), names=True),
    )
    return f"<p>{escape(said)}</p>{shown}{rest if len(rows) > _SHOWN_SLICES else ''}"


def _slice(one: Slice) -> list[str]:
    interval = f"{number(one.interval.low)} to {number(one.interval.high)}" if one.interval else ""
    known = ["" if value is None else number(value) for value in (one.metric, one.worse_by)]
    means = [number(one.label_mean), number(one.score_mean)]
    return [one.column, one.value, f"{one.n_rows:,}", *means, *known, interval]


def calibration(evaluation: Evaluation, before: Uncalibrated) -> str:
    """What the calibration step changed."""
    rows = [
        [metric.title, number(before.metrics[name]), number(evaluation.metrics[name])]
        for name, metric in METRICS[evaluation.task].items()
    ]
    if "calibration_error" not in evaluation.metrics:
        rows.append(
            ["Mean gap of score and outcome", *(number(gap(one.calibration)) for one in (before, evaluation))]
        )
    said = (
        f"Fitted ({before.method}) on {before.n_rows:,} rows, {before.first_day} to {before.last_day}, "
        "which the engine was not fitted on; measured on the test rows."
    )
    return f"<p>{escape(said)}</p>{table(('metric', 'before', 'after'), rows, numeric=(1, 2))}"


def backtest(over: Backtest, figure: str) -> str:
    """Each fold's rows and metrics, with the interval of the first."""
    metrics = METRICS[over.task]
    first, *rest = metrics
    header = ["fold", "trained on", "tested on", metrics[first].title, "95 % interval"]
    header += [over.baseline, *(metrics[name].title for name in rest)]
    rows = []
    for fold in over.folds:
        cells = [fold.name, f"{fold.n_trained:,}"]
        outcome = fold.outcome
        if isinstance(outcome, str):
            rows.append([*cells, outcome])
            continue
        sure = outcome.intervals.get(first)
        interval = f"{number(sure.low)} to {number(sure.high)}" if sure else ""
        cells += [f"{outcome.n_rows:,}", number(outcome.metrics[first]), interval]
        cells += [number(outcome.baseline[first]), *(number(outcome.metrics[name]) for name in rest)]
        rows.append(cells)
    days = f"the newest {over.plan.train_days} days" if over.plan.train_days else "all days"
    said = (
        f"The same declaration ({over.engine}, parameters {over.parameters}) trained on {days} before each "
        f"{over.plan.every}, and tested on its rows (edition {over.edition}); beside it a plain model."
    )
    return f"<p>{escape(said)}</p>{figure}{table(header, rows, numeric=range(len(header)))}"


def costs(evaluation: Evaluation, figure: str) -> str:
    """What acting above each threshold does."""
    curve = evaluation.analysis.thresholds
    least = cheapest(curve)
    rows = [
        [
            f"{one.at:.2f}",
            f"{one.acted_on:.1%}",
            "" if one.precision is None else f"{one.precision:.1%}",
            f"{one.recall:.1%}",
            number(one.cost),
        ]
        for one in curve[::_EVERY]
    ]
    header = ("threshold", "acted on", "precision", "recall", "mean cost of a row")
    said = f"It costs least, {number(least.cost)} a row, to act on scores from {least.at:.2f} on."
    return f"<p>{escape(said)}</p>{figure}{table(header, rows, numeric=range(5))}"


def importances(evaluation: Evaluation, figures: str) -> str:
    """What mattered while fitting, and what features add to single predictions."""
    found = evaluation.contributions
    adds = {one.feature: one.mean for one in found.features} if isinstance(found, Contributions) else {}
    rows = [
        [one.feature, f"{one.gain_share:.2%}", count(one.n_splits), number(adds.get(one.feature))]
        for one in evaluation.importances
    ]
    header = ("feature", "share of gain", "splits", "mean contribution")
    every = folded("all features", table(header, rows, numeric=(1, 2, 3), names=True))
    said = (
        f"No contributions to single predictions: {found}."
        if isinstance(found, str)
        else f"Contributions are SHAP values on {found.n_rows} of the test rows, which sum to the raw score; "
        "the mean is of their size, either way."
    )
    return f'<div class="pictures">{figures}</div><p>{escape(said)}</p>{every}'


def cases(evaluation: Evaluation) -> str:
    """The rows most wrong, with the features of the greatest importance."""
    first = [one.feature for one in evaluation.importances[:_SHOWN_FEATURES]]
    header = ("key", "day", "label", "score", *first)
    rows = [
        [
            one.key,
            one.day,
            f"{one.label:g}",
            number(one.score),
            *(one.features.get(name, "") for name in first),
        ]
        for one in evaluation.analysis.cases
    ]
    return table(header, rows, numeric=(2, 3), names=True)


def changes(evaluation: Evaluation) -> str:
    """What is other than in the champion."""
    if evaluation.champion is None:
        return "<p>There was no champion yet.</p>"
    if not evaluation.changes:
        return f"<p>Nothing: it was made as the champion {evaluation.champion[:12]} was.</p>"
    rows = [[one.what, one.before, one.now] for one in evaluation.changes]
    return table(("what", f"champion {evaluation.champion[:12]}", "candidate"), rows, names=True)

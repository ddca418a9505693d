"""A model card: one Markdown page for people who have to decide whether to use a version.

The headings follow Mitchell et al. 2019 (arXiv:1810.03993). It repeats what was measured and decided.
"""

from collections.abc import Iterator

from ml.analysis.contributions import Contributions
from ml.analysis.thresholds import cheapest
from ml.analysis.uncalibrated import gap
from ml.backtest import Backtest
from ml.bundle import Bundle
from ml.evaluation import Evaluation
from ml.gate import Decision
from ml.metrics import METRICS, first_metric

_SHOWN = 8


def render(
    bundle: Bundle, evaluation: Evaluation, decision: Decision, backtest: Backtest | None = None
) -> str:
    """The card as Markdown; `backtest` is of the same declaration."""
    sections = {
        f"{bundle.model} {bundle.version[:12]}": _model(bundle),
        "What a request carries": _request(bundle),
        "Data": _data(bundle, evaluation),
        "Metrics": [*_metrics(evaluation), *_backtest(backtest)],
        "Where it is worse": _worse(evaluation),
        "Acting on it": _acting(bundle, evaluation),
        "What it leans on": _importances(evaluation),
        "Limits": _limits(bundle, evaluation),
        "Decision": [f"{'Promote' if decision.promote else 'Refuse'}: {decision.text}."],
    }
    parts = (
        f"{'##' if n else '#'} {title}\n\n" + "\n".join(lines)
        for n, (title, lines) in enumerate(sections.items())
    )
    return "\n\n".join(parts) + "\n"


def _model(bundle: Bundle) -> Iterator[str]:
    declared = bundle.declaration
    yield f"Predicts `{declared.label.column}` for each {declared.entity} ({declared.task})."
    yield f"Made by {declared.engine.name} from {len(declared.features.columns)} features of"
    yield f"`{declared.features.table}`. Version `{bundle.version}`."


def _request(bundle: Bundle) -> Iterator[str]:
    for one in bundle.contract.request:
        unit = f", {one.unit}" if one.unit else ""
        needed = "required" if one.is_required else "optional"
        yield f"- `{one.name}` ({one.kind}{unit}, {needed}): {one.description}"


def _data(bundle: Bundle, evaluation: Evaluation) -> Iterator[str]:
    rows = bundle.receipt["rows"]
    yield f"- Trained on {rows['n_rows']:,} rows, {rows['first_day']} to {rows['last_day']}."
    yield f"- Tested on {evaluation.n_rows:,} later rows, {evaluation.first_day} to {evaluation.last_day}."
    condition = bundle.declaration.label.train_only_where
    if condition:
        yield f"- Trained only on rows with `{condition}`."


def _metrics(evaluation: Evaluation) -> Iterator[str]:
    yield "| metric | value | 95 % interval |"
    yield "|---|---|---|"
    for name, metric in METRICS[evaluation.task].items():
        sure = evaluation.analysis.intervals.get(name)
        interval = f"{sure.low:.4f} to {sure.high:.4f}" if sure else ""
        yield f"| {metric.title} | {evaluation.metrics[name]:.4f} | {interval} |"
    yield ""
    before = evaluation.uncalibrated
    if before:
        yield f"Scores are calibrated ({before.method}, on {before.first_day} to {before.last_day}):"
        yield f"the mean gap of score and outcome was {gap(before.calibration):.4f} and is"
        yield f"{gap(evaluation.calibration):.4f}."
    yield f"Intervals are by drawing the {evaluation.n_days} test days again."


def _backtest(backtest: Backtest | None) -> Iterator[str]:
    if backtest and backtest.spread:
        least, mean, greatest = backtest.spread
        yield ""
        folds, title = (
            f"{len(backtest.measured)} past {backtest.plan.every}s",
            first_metric(backtest.task).title,
        )
        yield f"Trained before each of {folds} and tested on it,"
        yield f"its {title} was {least:.4f} to {greatest:.4f}, in the mean {mean:.4f}."


def _worse(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.analysis.slices:
        yield "No slices are declared, or none has rows enough."
        return
    for one in evaluation.analysis.worse[:_SHOWN]:
        rest = f"on {one.n_rows:,} rows, worse by {one.worse_by:.4f}"
        yield f"- `{one.column}` {one.value}: {one.metric:.4f} {rest}."
    if not evaluation.analysis.worse:
        yield "On no declared slice is it surely worse than on all rows."


def _acting(bundle: Bundle, evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.analysis.thresholds:
        yield f"It predicts a {evaluation.task} label: what is done by it is for whoever acts."
        return
    costs, least = bundle.declaration.costs, cheapest(evaluation.analysis.thresholds)
    yield f"If acting in vain costs {costs.false_positive:g} and not acting where it was needed"
    yield f"{costs.false_negative:g}, it costs least ({least.cost:.3f} a row) to act on scores from"
    yield f"{least.at:.2f} on: on {least.acted_on:.1%} of the rows, finding {least.recall:.1%} of the cases."


def _importances(evaluation: Evaluation) -> Iterator[str]:
    found = evaluation.contributions
    adds = {one.feature: one.mean for one in found.features} if isinstance(found, Contributions) else {}
    for one in evaluation.importances[:_SHOWN]:
        moves = f", moves the raw score by {adds[one.feature]:.3f} in the mean" if adds else ""
        yield f"- `{one.feature}`: {one.gain_share:.1%} of the gain{moves}"
    others = [name for name in list(adds)[:_SHOWN] if name not in _first(evaluation)]
    if others:
        yield f"- Single scores it moves much by too: {', '.join(f'`{name}`' for name in others)}."


def _first(evaluation: Evaluation) -> list[str]:
    return [one.feature for one in evaluation.importances[:_SHOWN]]


def _limits(bundle: Bundle, evaluation: Evaluation) -> Iterator[str]:
    last = bundle.receipt["rows"]["last_day"]
    yield f"- It has seen nothing after {last}; how it does later is what monitoring is for."
    if evaluation.all_missing:
        yield f"- No value was ever seen of: {', '.join(f'`{name}`' for name in evaluation.all_missing)}."
    yield "- A category that was not trained on counts as missing."

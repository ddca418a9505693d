"""Pictures of an evaluation: PNG for asset metadata, SVG for the report, from one drawing.

What they show is measured elsewhere; pages are laid out elsewhere.
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ml.analysis.contributions import Contributions
from ml.analysis.curves import Bin
from ml.analysis.periods import Period
from ml.analysis.thresholds import cheapest
from ml.analysis.uncalibrated import gap
from ml.evaluation import Evaluation
from ml.metrics import first_metric
from ml.plot_style import CANDIDATE, CHAMPION, MUTED, STYLE, VARIABLES
from ml.plots_features import contributions, importances

_MAX_NUMBERED = 10
_TAIL = 0.01


@dataclass(frozen=True)
class Picture:
    """One drawing with what it says to those who can't see it."""

    title: str
    alt: str
    png: bytes
    svg: str


def draw(evaluation: Evaluation) -> dict[str, Picture]:
    """The task's pictures by name, in the order to show them.

    For every task over_time, importances, and contributions where there are any. Beside them calibration,
    roc, pr and cost for binary, numbers and errors for regression, calibration and confusion for multiclass.
    """
    names = list(_PICTURES[evaluation.task])
    if isinstance(evaluation.contributions, Contributions):
        names.append("contributions")
    return {
        name: picture(name, partial(_PAINTERS[name], evaluation=evaluation), evaluation.version)
        for name in names
    }


def picture(name: str, painter: Callable[[Any], tuple[str, str]], salt: str) -> Picture:
    """What a painter, which gives title and alternative text, puts on a figure; `salt` makes ids repeat."""
    import matplotlib as mpl

    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):
        return _picture(name, painter)


def _picture(name: str, painter: Callable[[Any], tuple[str, str]]) -> Picture:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Margins are set by hand: laying out automatically draws everything twice, 0.7 CPU-seconds for all.
    figure = Figure(figsize=(5.6, 4.0))
    figure.subplots_adjust(left=0.11, right=0.97, top=0.95, bottom=0.12)
    canvas = FigureCanvasAgg(figure)
    title, alt = painter(figure)
    svg = io.StringIO()
    figure.savefig(svg, format="svg", dpi=160, transparent=True, metadata={"Date": None, "Creator": None})
    figure.dpi = 100
    canvas.draw()
    return Picture(title, alt, _png(canvas.buffer_rgba()), _inline(svg.getvalue(), name, alt))


def _png(pixels: Any) -> bytes:
    """The drawing in 64 colours, a quarter of the bytes: it is kept in the events of every run."""
    from PIL import Image

    stream = io.BytesIO()
    image = Image.fromarray(np.asarray(pixels)).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _inline(svg: str, name: str, alt: str) -> str:
    """The drawing as an element of a page: no prolog, sized by the page, colours by variable, own ids."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    return body.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)


def _unit_square(axes: Any, x: str, y: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel=x, ylabel=y, aspect="auto")


def _roc(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    assert evaluation.roc  # noqa: S101 of its task
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.plot(evaluation.roc.x, evaluation.roc.y, color=CANDIDATE)
    axes.fill_between(evaluation.roc.x, evaluation.roc.y, color=CANDIDATE, alpha=0.08, linewidth=0)
    _unit_square(axes, "false positive rate", "true positive rate")
    said = f"ROC AUC {evaluation.metrics['roc_auc']:.3f}"
    axes.text(0.97, 0.06, said, ha="right", fontsize=12)
    return "ROC", f"ROC curve, {said}"


def _pr(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    assert evaluation.pr  # noqa: S101 of its task
    axes = figure.subplots()
    axes.axhline(evaluation.label_mean, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.text(0.015, evaluation.label_mean + 0.015, f"base rate {evaluation.label_mean:.3f}", color=MUTED)
    axes.plot(evaluation.pr.x, evaluation.pr.y, color=CANDIDATE)
    _unit_square(axes, "recall", "precision")
    said = f"PR AUC {evaluation.metrics['pr_auc']:.3f}"
    axes.text(0.97, 0.93, said, ha="right", fontsize=12)
    return "Precision and recall", f"Precision over recall, {said}, base rate {evaluation.label_mean:.3f}"


def _calibration(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    axes = figure.subplots()
    before = evaluation.uncalibrated.calibration if evaluation.uncalibrated else ()
    every = [
        value for one in (*evaluation.calibration, *before) for value in (one.score_mean, one.label_mean)
    ]
    top = min(1.0, max(every) * 1.08 + 0.01)
    axes.plot([0, top], [0, top], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    said = f"mean gap {gap(evaluation.calibration):.3f}"
    if before:
        _bins(axes, before, CHAMPION)
        said += f", before calibration {gap(before):.3f}"
        axes.text(0.02, 0.95, "before calibration", color=CHAMPION, transform=axes.transAxes)
        axes.text(0.02, 0.90, "after", color=CANDIDATE, transform=axes.transAxes)
    _bins(axes, evaluation.calibration, CANDIDATE)
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="mean score", ylabel="share that came true")
    axes.text(0.97 * top, 0.06 * top, said, ha="right", fontsize=12 if not before else 10)
    groups = len(evaluation.calibration)
    return "Calibration", f"Share that came true over mean score in {groups} equal groups, {said}"


def _bins(axes: Any, curve: tuple[Bin, ...], colour: str) -> None:
    points = [one.score_mean for one in curve], [one.label_mean for one in curve]
    axes.plot(*points, color=colour, marker="o", markersize=4)


def _numbers(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    axes = figure.subplots()
    predicted = [one.score_mean for one in evaluation.calibration]
    observed = [one.label_mean for one in evaluation.calibration]
    ends = min(*predicted, *observed), max(*predicted, *observed)
    axes.plot(ends, ends, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.plot(predicted, observed, color=CANDIDATE, marker="o", markersize=4)
    axes.set(xlabel="mean prediction", ylabel=f"mean {evaluation.label}")
    said = f"R squared {evaluation.metrics['r2']:.3f}"
    axes.text(0.97, 0.06, said, ha="right", fontsize=12, transform=axes.transAxes)
    groups = len(evaluation.calibration)
    return "Prediction and outcome", f"Mean label over mean prediction in {groups} equal groups, {said}"


def _errors(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    assert evaluation.errors  # noqa: S101 of its task
    axes = figure.subplots()
    shares, errors = np.array(evaluation.errors.x), np.array(evaluation.errors.y)
    axes.axhline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    inner = (shares >= _TAIL) & (shares <= 1 - _TAIL)
    axes.plot(shares[inner], errors[inner], color=CANDIDATE)
    axes.set(xlim=(0, 1), xlabel="share of rows below", ylabel="prediction less label")
    low, high = np.interp([0.05, 0.95], shares, errors)
    return "Errors", f"Prediction less label, sorted; nine of ten rows from {low:.3g} to {high:.3g}"


def _confusion(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    assert evaluation.confusion  # noqa: S101 of its task
    figure.subplots_adjust(left=0.2)
    axes = figure.subplots()
    cells = np.array(evaluation.confusion.n_rows, dtype=float)
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    shade = np.array([int(CANDIDATE[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    axes.imshow(
        np.dstack([*np.broadcast_to(shade[:, None, None], (3, *shares.shape)), shares]), aspect="auto"
    )
    names = [name[:14] for name in evaluation.confusion.classes]
    step = -(-len(names) // 12)
    axes.set_xticks(range(0, len(names), step), names[::step], fontsize=7.5)
    axes.set_yticks(range(0, len(names), step), names[::step], fontsize=7.5)
    axes.set(xlabel="told", ylabel="came true")
    axes.grid(visible=False)
    if len(names) <= _MAX_NUMBERED:
        for row, column in np.ndindex(*shares.shape):
            said = f"{shares[row, column]:.2f}"
            axes.text(column, row, said, ha="center", va="center", fontsize=8)
    accuracy = evaluation.metrics["accuracy"]
    return "Classes", f"Share of each class's rows told to be each class; accuracy {accuracy:.3f}"


def _over_time(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    figure.subplots_adjust(left=0.13, hspace=0.24)
    rates, quality = figure.subplots(2, 1, sharex=True)
    metric = first_metric(evaluation.task)
    is_rate = evaluation.task in ("binary", "multiclass")
    days = [one.first_day.toordinal() for one in evaluation.periods]
    rates.plot(days, [one.label_mean for one in evaluation.periods], color=MUTED, linewidth=1.1)
    if evaluation.task != "ranking":
        rates.plot(days, [one.score_mean for one in evaluation.periods], color=CANDIDATE)
    rates.set(ylabel="rate" if is_rate else "mean")
    if is_rate:
        rates.set(ylim=(0, None))
    came_true = "came true" if is_rate else "label"
    _key(rates, (("mean score", CANDIDATE), (came_true, MUTED)))
    said = [("candidate", CANDIDATE)]
    if evaluation.comparison:
        _quality(quality, evaluation.comparison.champion_periods, CHAMPION)
        said.append(("champion", CHAMPION))
    _quality(quality, evaluation.periods, CANDIDATE)
    quality.set(ylabel=metric.title)
    _key(quality, tuple(said))
    marked = [one.first_day for one in evaluation.periods[:: max(1, len(days) // 5)]]
    quality.set_xticks([day.toordinal() for day in marked], [f"{day.day} {day:%b}" for day in marked])
    years = sorted({evaluation.first_day.year, evaluation.last_day.year})
    quality.set_xlabel(" to ".join(map(str, years)))
    span = f"{evaluation.first_day} to {evaluation.last_day}"
    share = "share that came true" if is_rate else "mean label"
    return "Over time", f"Mean score, {share} and {metric.title}, {span}"


def _quality(axes: Any, periods: tuple[Period, ...], colour: str) -> None:
    values = [float("nan") if one.metric is None else one.metric for one in periods]
    axes.plot([one.first_day.toordinal() for one in periods], values, color=colour)


def _key(axes: Any, names: tuple[tuple[str, str], ...]) -> None:
    """Names above the axes in the colour of their lines."""
    for place, (name, colour) in enumerate(reversed(names)):
        axes.text(1 - 0.18 * place, 1.03, name, color=colour, ha="right", transform=axes.transAxes)


def _cost(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    axes = figure.subplots()
    curve, least = evaluation.analysis.thresholds, cheapest(evaluation.analysis.thresholds)
    axes.plot([one.at for one in curve], [one.cost for one in curve], color=CANDIDATE)
    axes.axvline(least.at, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel="threshold", ylabel="mean cost of a row")
    said = f"least {least.cost:.3f} at {least.at:.2f}"
    axes.text(0.97, 0.03, said, ha="right", fontsize=12, transform=axes.transAxes)
    return "Cost", f"Mean cost of a row over the threshold above which one acts, {said}"


_PAINTERS: Mapping[str, Callable[..., tuple[str, str]]] = {
    "roc": _roc,
    "pr": _pr,
    "calibration": _calibration,
    "numbers": _numbers,
    "errors": _errors,
    "confusion": _confusion,
    "over_time": _over_time,
    "cost": _cost,
    "importances": importances,
    "contributions": contributions,
}
_PICTURES: Mapping[str, tuple[str, ...]] = {
    "binary": ("over_time", "calibration", "roc", "pr", "cost", "importances"),
    "regression": ("over_time", "numbers", "errors", "importances"),
    "multiclass": ("over_time", "calibration", "confusion", "importances"),
    "ranking": ("over_time", "importances"),
}

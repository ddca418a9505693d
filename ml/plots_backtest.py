"""The picture of a backtest: the first metric by fold with its interval, and what was told and came true.

What it shows is measured elsewhere.
"""

from functools import partial
from typing import Any

from ml.backtest import Backtest
from ml.metrics import first_metric
from ml.plot_style import CANDIDATE, CHAMPION, MUTED
from ml.plots import Picture, picture


def draw_backtest(backtest: Backtest) -> dict[str, Picture]:
    """The picture by name; none where no fold was measured."""
    if not backtest.measured:
        return {}
    return {"backtest": picture("backtest", partial(_paint, backtest=backtest), backtest.code)}


def _paint(figure: Any, backtest: Backtest) -> tuple[str, str]:
    figure.subplots_adjust(left=0.13, hspace=0.24)
    rates, quality = figure.subplots(2, 1, sharex=True)
    metric, folds = first_metric(backtest.task), backtest.measured
    places = range(len(folds))
    values = [outcome.metrics[metric.name] for _, outcome in folds]
    for place, (_, outcome) in enumerate(folds):
        if sure := outcome.intervals.get(metric.name):
            quality.plot([place, place], [sure.low, sure.high], color=CANDIDATE, linewidth=1.2, alpha=0.6)
    quality.plot(
        places,
        [outcome.baseline[metric.name] for _, outcome in folds],
        color=CHAMPION,
        marker="o",
        markersize=3,
    )
    quality.plot(places, values, color=CANDIDATE, marker="o", markersize=4)
    quality.set(ylabel=metric.title)
    step = -(-len(folds) // 9)
    quality.set_xticks(list(places)[::step], [fold.name for fold, _ in folds][::step])
    _key(quality, (("model", CANDIDATE), (f"baseline ({backtest.baseline})", CHAMPION)))
    is_rate = backtest.task in ("binary", "multiclass")
    if backtest.task != "ranking":
        rates.plot(
            places, [outcome.score_mean for _, outcome in folds], color=CANDIDATE, marker="o", markersize=3
        )
    rates.plot(places, [outcome.label_mean for _, outcome in folds], color=MUTED, marker="o", markersize=3)
    rates.set(ylabel="rate" if is_rate else "mean")
    if is_rate:
        rates.set(ylim=(0, None))
    _key(rates, (("mean score", CANDIDATE), ("came true" if is_rate else "label", MUTED)))
    said = f"{metric.title} of {len(folds)} folds, {min(values):.3f} to {max(values):.3f}"
    return "Backtest", f"Trained before each {backtest.plan.every}, tested on it: {said}"


def _key(axes: Any, names: tuple[tuple[str, str], ...]) -> None:
    """Names above the axes in the colour of their lines."""
    for place, (name, colour) in enumerate(names):
        axes.text(0.24 * place, 1.03, name, color=colour, transform=axes.transAxes)

"""Pictures of features: what mattered while fitting, and what each adds to single predictions.

What they show is measured elsewhere.
"""

from typing import Any

import numpy as np

from ml.analysis.contributions import N_SHOWN, Contributions
from ml.evaluation import Evaluation
from ml.plot_style import CANDIDATE, CHAMPION, INK, MUTED

_MAX_FEATURES = 20
_WIDTH = 0.36  # of the cloud of a feature's points, either side of its line


def importances(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    """Share of the gain by feature."""
    shown = evaluation.importances[:_MAX_FEATURES][::-1]
    widest = max(len(one.feature) for one in shown)
    figure.subplots_adjust(left=min(0.6, 0.03 + 0.0118 * widest))
    axes = figure.subplots()
    shares = [one.gain_share * 100 for one in shown]
    axes.barh(range(len(shown)), shares, color=CANDIDATE, height=0.68)
    axes.set_yticks(range(len(shown)), [one.feature for one in shown], fontsize=7.5)
    axes.set(xlabel="share of gain, %", ylim=(-0.6, len(shown) - 0.4))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    first = evaluation.importances[0]
    return "Importances", f"Share of gain by feature; first {first.feature} with {first.gain_share:.1%}"


def contributions(figure: Any, evaluation: Evaluation) -> tuple[str, str]:
    """What each value of the first features adds to the score of its row: a point a row."""
    found = evaluation.contributions
    assert isinstance(found, Contributions)  # noqa: S101 the caller has looked
    shown = found.features[:N_SHOWN][::-1]
    widest = max(len(one.feature) for one in shown)
    figure.subplots_adjust(left=min(0.6, 0.03 + 0.0118 * widest), top=0.91)
    axes = figure.subplots()
    axes.axvline(0, color=MUTED, linewidth=0.9)
    adds = np.array([one.adds for one in shown])
    heights = np.arange(len(shown))[:, None] + np.array([_spread(one) for one in adds])
    colours = np.array([[_colour(place) for place in one.places] for one in shown])
    axes.scatter(
        adds.ravel(), heights.ravel(), c=colours.reshape(-1, 3), s=5, linewidths=0, alpha=0.8, rasterized=True
    )
    axes.set_yticks(range(len(shown)), [one.feature for one in shown], fontsize=7.5)
    of = " (log odds)" if evaluation.task in ("binary", "multiclass") else ""
    axes.set(xlabel=f"added to the raw score{of}", ylim=(-0.6, len(shown) - 0.4))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    for at, name, colour in ((0.0, "low value", CANDIDATE), (0.24, "high", CHAMPION)):
        axes.text(at, 1.02, name, color=colour, transform=axes.transAxes)
    axes.text(0.37, 1.02, "category or missing", color=MUTED, transform=axes.transAxes)
    first = found.features[0]
    said = f"what features add to the raw score of {found.n_rows} rows; most {first.feature}"
    return "Contributions", f"SHAP values: {said}, {first.mean:.3f} in the mean either way"


def _spread(adds: Any) -> Any:
    """How far each point is moved off its line, so that points of about the same place do not hide."""
    reach = np.ptp(adds) or 1.0
    slot = np.round((adds - adds.min()) / reach * 60).astype(int)
    order = np.argsort(slot, kind="stable")
    _, starts, counts = np.unique(slot[order], return_index=True, return_counts=True)
    nth = np.empty(len(adds))
    nth[order] = np.arange(len(adds)) - np.repeat(starts, counts)
    sides = np.where(nth % 2, -(nth + 1) // 2, nth // 2)
    return sides * min(0.12, 2 * _WIDTH / counts.max())


def _colour(place: float | None) -> Any:
    if place is None:
        return _rgb(MUTED)
    return _rgb(CANDIDATE) * (1 - place) + _rgb(CHAMPION) * place


def _rgb(colour: str) -> Any:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])

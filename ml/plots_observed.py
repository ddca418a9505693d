"""Pictures of a champion after its training: quality by day with promotions, drift by feature and day.

What they show is measured elsewhere.
"""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np

from ml.observing import Drift
from ml.plot_style import CANDIDATE, CHAMPION, INK, MUTED
from ml.plots import Picture, picture
from ml.quality import Quality

_SHOWN_FEATURES = 15
_MANY_DAYS = 7
_COLOURS = {"champion": CHAMPION, "candidate": CANDIDATE, "baseline": MUTED}


def draw_quality(quality: Quality, promoted: Sequence[date] = ()) -> dict[str, Picture]:
    """By name; none before a day is known. `promoted` are days on which a champion was."""
    if not any(one.value is not None for one in quality.by_day):
        return {}
    paint = partial(_quality, quality=quality, promoted=promoted)
    return {"quality": picture("quality", paint, str(quality.edition))}


def draw_drift(drift: Drift) -> dict[str, Picture]:
    """By name."""
    return {"drift": picture("drift", partial(_drift, drift=drift), str(drift.edition))}


def _quality(figure: Any, quality: Quality, promoted: Sequence[date]) -> tuple[str, str]:
    axes = figure.subplots()
    for place, (role, colour) in enumerate(_COLOURS.items()):
        days = [one for one in quality.by_day if one.role == role and one.value is not None]
        if days:
            values = [one.value for one in days]
            axes.plot([one.last_day for one in days], values, color=colour, marker="o", markersize=2.5)
            axes.text(0.24 * place, 1.03, role, color=colour, transform=axes.transAxes)
    if quality.judged_by and quality.judged_by.value is not None:
        axes.axhline(quality.judged_by.value, color=CHAMPION, linewidth=0.8, linestyle=":")
    for day in promoted:
        axes.axvline(day, color=INK, linewidth=0.8)
    axes.set(ylabel=quality.metric)
    shown = sorted({one.last_day for one in quality.by_day})
    shown = shown[:: max(1, -(-len(shown) // _MANY_DAYS))]
    axes.set_xticks(shown, [f"{day:%d %b}" for day in shown])
    return "Quality by day", f"{quality.metric} by day of champion, candidate and baseline"


def _drift(figure: Any, drift: Drift) -> tuple[str, str]:
    watched = drift.features
    shown = watched.features[:_SHOWN_FEATURES]
    figure.subplots_adjust(left=0.38)
    axes = figure.subplots()
    # How far beyond its own limit: 1 is the limit, so that features compare.
    values = [np.array(watched.psi_by_day[one.name]) / max(one.limit_training, 1e-9) for one in shown]
    image = axes.imshow(np.array(values), aspect="auto", cmap="Blues", vmin=0, vmax=2)
    axes.set_yticks(range(len(shown)), [one.name for one in shown], fontsize=7)
    step = max(1, len(watched.days) // 5)
    places = list(range(0, len(watched.days), step))
    axes.set_xticks(places, [f"{watched.days[n]:%d %b}" for n in places])
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label="PSI to training, as a share of its limit")
    return "Drift by feature", f"{len(watched.drifting)} features drift by {watched.last_day}"

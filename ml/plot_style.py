"""Colours and fonts of all pictures.

What is drawn with them does not belong here.
"""

from collections.abc import Mapping
from typing import Any

INK, MUTED, GRID = "#1f2933", "#6b7785", "#d9dee5"
CANDIDATE, CHAMPION = "#2563c9", "#c9741a"
# The SVG names its colours by CSS variable, so that the page's light or dark scheme decides them.
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", CANDIDATE: "candidate", CHAMPION: "champion"}
STYLE: Mapping[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "svg.fonttype": "none",
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
}

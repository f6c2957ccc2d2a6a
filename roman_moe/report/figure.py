"""What all plots share: a figure beside matplotlib's global state, axes without a frame, a file that is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from roman_moe.core.files import atomic_path
from roman_moe.report.palette import INK

FAINT, LINES = "#6b7280", "#e5e7eb"  # of ticks, of a grid


def new_figure(
    width: float, height: float, dpi: int = 150, layout: Literal["tight", "constrained"] = "tight"
) -> Figure:
    """A white one of this size [inch]."""
    return Figure(figsize=(width, height), dpi=dpi, facecolor="white", layout=layout)


def dress(axes: Axes, size: float, grid: Literal["x", "y", "both"] | None = None, **ticks: Any) -> None:
    """Axes without a frame, whose numbers have this size [points]; with a grid for x, y or both."""
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=size, **ticks)
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=LINES, linewidth=0.8)


def save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary)

"""Plot of an estimator's errors: their distribution by object and condition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from roman_moe.report.figure import dress, new_figure, save
from roman_moe.report.palette import INK

COLOURS = ("#3d78e6", "#d9480f", "#3aa655", "#8250c4")
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)  # [mm]


def plot_pose_errors(errors: Mapping[str, Mapping[str, NDArray[np.float64]]], path: Path, title: str) -> None:
    """Write a picture: for each object and condition the errors' 5th to 95th percentile, middle half and median.

    Args:
        errors: distances [m] by object and condition.
    """
    conditions = list(next(iter(errors.values())))
    figure = new_figure(9.0, 1.4 + 0.55 * len(errors))
    axes = figure.subplots()
    colours = dict(zip(conditions, COLOURS, strict=True))
    highest = 10.0
    for place, by_condition in enumerate(errors.values()):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#f3f4f6", lw=0, zorder=0)
        for number, (condition, distances) in enumerate(by_condition.items()):
            if len(distances) == 0:
                continue
            low, first, median, third, high = 1e3 * np.percentile(distances, (5, 25, 50, 75, 95))
            y, ink = place + 0.2 * (number - 0.5 * (len(conditions) - 1)), colours[condition]
            axes.plot([low, high], [y, y], color=ink, lw=1.2)
            axes.plot([first, third], [y, y], color=ink, lw=5.0, alpha=0.45, solid_capstyle="butt")
            axes.plot([median], [y], color=ink, marker="o", markersize=4.5)
            highest = max(highest, high)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_xlim(TICKS[0], 1.15 * highest)
    axes.minorticks_off()
    axes.set_ylim(len(errors) - 0.5, -0.5)
    axes.set_yticks(range(len(errors)), [name.replace("_", " ") for name in errors], color=INK)
    axes.set_xlabel("position error [mm]; dot: median, bar: middle half, line: 5th to 95th percentile", color=INK)
    dress(axes, 9, "x", length=0)
    handles = [Line2D([], [], color=colours[name], marker="o", label=name.replace("_", " ")) for name in conditions]
    figure.legend(handles=handles, loc="upper right", ncols=len(conditions), frameon=False, fontsize=9)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=18)
    save(figure, path)

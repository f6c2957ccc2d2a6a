"""The gate's weights over a run as a picture. Draws without a display and leaves matplotlib's global state alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from roman_moe.core.files import atomic_path
from roman_moe.report.palette import INK, color, label, text_color
from roman_moe.report.trace import Trace, leading_segments

FAINT = "#6b7280"


def plot_gate_weights(trace: Trace, path: Path, title: str) -> None:
    """Write a PNG: stacked weights over time, above them the skill that leads, boundaries marked."""
    figure = Figure(figsize=(12.0, 4.6), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    leads, axes = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 9], "hspace": 0.03})
    segments = leading_segments(trace)

    edges = np.append(trace.times, trace.end_s)
    tops = np.cumsum(trace.weights, axis=1)
    tops = np.vstack([tops, tops[-1:]])
    bottom = np.zeros(len(edges))
    for index, skill in enumerate(trace.skills):
        axes.fill_between(
            edges, bottom, tops[:, index], step="post", color=color(skill), linewidth=0, label=label(skill)
        )
        bottom = tops[:, index]

    for segment in segments:
        width = segment.end_s - segment.start_s
        leads.add_patch(Rectangle((segment.start_s, 0), width, 1, facecolor=color(segment.name), edgecolor="white"))
        name = label(segment.name)
        # What fits: about 145 characters of this size across the axis.
        if width / trace.end_s * 145 > len(name) + 1:
            centre = segment.start_s + width / 2
            ink = text_color(segment.name)
            leads.text(centre, 0.47, name, ha="center", va="center", color=ink, fontsize=9, fontweight="bold")
    for segment in segments[1:]:
        axes.axvline(segment.start_s, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))

    leads.set_ylim(0, 1)
    leads.set_axis_off()
    leads.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=9)
    axes.set_xlim(0, trace.end_s)
    axes.set_ylim(0, 1)
    axes.set_ylabel("gate weight", color=INK)
    axes.set_xlabel("time [s]", color=INK)
    axes.tick_params(colors=FAINT, labelcolor=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="lower center",
        ncols=len(trace.skills),
        frameon=False,
        fontsize=10,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.8,
        bbox_to_anchor=(0.52, 0.0),
    )
    figure.subplots_adjust(left=0.055, right=0.985, top=0.9, bottom=0.2)
    with atomic_path(path) as temporary:
        figure.savefig(temporary)

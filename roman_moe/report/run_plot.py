"""Plot of a run: weights, hand, gripper and guard over one time axis, and below it each hand-over enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from roman_moe.control.guard import GuardStatus
from roman_moe.report.figure import FAINT, dress, new_figure, save
from roman_moe.report.palette import INK, color, label, text_color
from roman_moe.report.trace import Trace, leading_segments
from roman_moe.sim.film import HandMotion

ASIDE_S = 1.0  # [s] that a hand-over is shown before and after
COLUMNS = 6  # of hand-overs at most
LETTERS = 145  # that fit across the time axis
LIMITED, HALTED = "#f2a33a", "#d1495b"


def plot_gate_weights(trace: Trace, motion: HandMotion, guard: NDArray[np.int64], path: Path, title: str) -> None:
    """Write a PNG of a run.

    Args:
        trace: weights, and what happened from outside.
        motion: of the hand, for the same T ticks.
        guard: codes of `GuardStatus`, (T,).
    """
    segments = leading_segments(trace)
    changes = [segment.start_s for segment in segments[1:]]
    lines = -(-len(changes) // COLUMNS)
    columns = -(-len(changes) // max(1, lines))
    codes = sorted({int(code) for code in guard} - {GuardStatus.NO_WARNING})
    heights = [1.0, 1.0, 0.7, 0.28 * max(1, len(codes))]
    ratios = [1.2 + sum(heights), *([1.8 * lines] if lines else [])]
    figure = new_figure(12.0, 2.2 + sum(heights) + 1.8 * lines, 150, "constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    above, *below = figure.subfigures(1 + bool(lines), 1, squeeze=False, height_ratios=ratios)[:, 0]
    rows = above.subplots(4, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    weights, speed, gripper, halts = rows
    edges = np.append(trace.times, trace.end_s)
    _stack(weights, trace, edges)
    for segment in segments:
        name, width = label(trace.spec, segment.name), segment.end_s - segment.start_s
        if width / trace.end_s * LETTERS > len(name) + 1:
            ink = text_color(trace.spec, segment.name)
            middle = segment.start_s + width / 2
            weights.text(middle, 0.5, name, ha="center", va="center", color=ink, fontsize=9, fontweight="bold")
    speed.plot(trace.times, motion.speeds, color=INK, lw=1.2)
    gripper.plot(trace.times, 1e3 * motion.openings, color=INK, lw=1.2)
    for axes in (speed, gripper):
        axes.set_ylim(-0.04 * axes.get_ylim()[1], None)  # a closed gripper's line is not cut off
    _guard(halts, edges, guard, codes)
    for axes, name in zip(rows, ("weight", "hand [m/s]", "gripper [mm]", "guard"), strict=True):
        dress(axes, 8, "y" if axes in (speed, gripper) else None, length=2)
        axes.set_ylabel(name, color=INK, fontsize=9, rotation=0, ha="right", va="center")
        for number, moment in enumerate(changes, 1):
            axes.axvline(moment, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
            if axes is weights:
                axes.text(moment, 1.04, str(number), ha="center", va="bottom", fontsize=8, color=FAINT)
        for moment, name in trace.events:
            axes.axvline(moment, color=INK, linewidth=2.2)
            if axes is weights:
                _tell(axes, moment, name, trace.end_s)
    halts.set_xlim(0.0, trace.end_s)
    halts.set_xlabel("time [s]", color=INK)
    if below:
        _hand_overs(below[0].subplots(lines, columns, sharey=True, squeeze=False), trace, edges, changes)
    handles = [weights.collections[index] for index in range(len(trace.skills))]
    figure.legend(
        handles=handles,
        labels=[label(trace.spec, skill) for skill in trace.skills],
        loc="outside lower center",
        ncols=len(trace.skills),
        frameon=False,
        fontsize=10,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.8,
    )
    save(figure, path)


def _hand_overs(
    panels: NDArray[np.object_], trace: Trace, edges: NDArray[np.float64], changes: Sequence[float]
) -> None:
    """One panel a change of lead: the weights around it, over seconds from it on."""
    columns = panels.shape[1]
    for number, axes in enumerate(panels.ravel(), 1):
        if number > len(changes):
            axes.set_axis_off()
            continue
        moment = changes[number - 1]
        near = np.abs(edges - moment) <= ASIDE_S + 0.1
        for index, skill in enumerate(trace.skills):
            held = np.append(trace.weights[:, index], trace.weights[-1, index])
            if held[near].max(initial=0.0) > 0.01:
                axes.step(edges[near] - moment, held[near], where="post", color=color(trace.spec, skill), lw=2.0)
        for event, _ in trace.events:
            if abs(event - moment) <= ASIDE_S:
                axes.axvline(event - moment, color=INK, linewidth=2.2)
        axes.axvline(0.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xlim(-ASIDE_S, ASIDE_S)
        axes.set_xticks([-0.5 * ASIDE_S, 0.0, 0.5 * ASIDE_S])  # none at the edges, where two panels meet
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks([0.0, 0.5, 1.0])
        axes.set_title(f"{number}: {moment:.1f} s", loc="left", fontsize=9, color=INK)
        dress(axes, 8, "y", length=2)
        if (number - 1) % columns == 0:
            axes.set_ylabel("weight", color=INK, fontsize=9)
        if number > len(changes) - columns:
            axes.set_xlabel("seconds from the change of lead", color=INK, fontsize=8)


def _stack(axes: Axes, trace: Trace, edges: NDArray[np.float64]) -> None:
    tops = np.cumsum(trace.weights, axis=1)
    tops = np.vstack([tops, tops[-1:]])
    bottom = np.zeros(len(edges))
    for index, skill in enumerate(trace.skills):
        axes.fill_between(edges, bottom, tops[:, index], step="post", color=color(trace.spec, skill), linewidth=0)
        bottom = tops[:, index]
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 0.5, 1.0])


def _guard(axes: Axes, edges: NDArray[np.float64], guard: NDArray[np.int64], codes: Sequence[int]) -> None:
    """A line for each code of the guard that occurs, with a bar where it holds."""
    for place, code in enumerate(codes):
        ink = HALTED if GuardStatus(code).halts else LIMITED
        holds = np.append(guard == code, False)
        axes.fill_between(edges, place - 0.4, place + 0.4, where=holds, step="post", color=ink, linewidth=0)
    names = [GuardStatus(code).name.lower().replace("_", " ") for code in codes] or ["no warning"]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _tell(axes: Axes, moment: float, name: str, end_s: float) -> None:
    side = -1 if moment > 0.6 * end_s else 1
    axes.annotate(
        name,
        (moment, 0.18),
        (8 * side, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="left" if side > 0 else "right",
        va="center",
        fontsize=9,
        fontweight="bold",
        color=INK,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": INK},
    )

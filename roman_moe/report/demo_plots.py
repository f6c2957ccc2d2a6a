"""Plots of demonstrations: one episode over time, and where the hand goes in all of a set. Drawn without a display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from roman_moe.core.outcome import Outcome
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.demos.reader import Episode
from roman_moe.demos.survey import gaps, idle_stretches, times
from roman_moe.report.figure import FAINT, dress, new_figure, save
from roman_moe.report.palette import INK, color, label

AXIS_COLORS = {"x": "#d1495b", "y": "#3aa655", "z": "#3d78e6", "rx": "#e59500", "ry": "#7a5195", "rz": "#00798c"}
POLICY, OPERATOR = "#9aa0a6", "#f2b705"
COLUMNS = 4


def plot_episode(episode: Episode, spec: TaskSpec, path: Path, title: str) -> None:
    """Write a picture: the hand's path, gripper, actions or weights, and who drove, over time."""
    seconds, meta = times(episode), episode.meta
    shared = {GATE: episode.answers}.get(meta.network, episode.weights)
    panels = ["hand [m]", "gripper [m]", *(["action"] if meta.network != GATE else [])]
    panels += ["weights"] if shared is not None else []
    panels += ["drives"] if episode.drove is not None else []
    heights = [{"weights": 1.2, "drives": 0.25}.get(name, 1.0) for name in panels]
    figure = new_figure(11.0, 0.9 + 1.7 * sum(heights), 130, "constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for name, axes in zip(panels, grid, strict=True):
        dress(axes, 8, "both")
        axes.set_ylabel(name, color=INK, fontsize=9)
        if name == "hand [m]":
            positions = np.array([state.hand_position for state in episode.states])
            for index, axis in enumerate("xyz"):
                axes.plot(seconds, positions[:, index], color=AXIS_COLORS[axis], label=axis)
        elif name == "gripper [m]":
            fingers = [state.finger_opening for state in episode.states]
            axes.plot(seconds, fingers, color=INK, label="opening")
            told = [command.gripper_opening for command in episode.commands]
            axes.step(seconds, told, color=FAINT, linestyle="--", where="post", label="command")
            axes.set_ylim(-0.05 * spec.gripper.open, 1.1 * spec.gripper.open)
        elif name == "action":
            for index, axis in enumerate(spec.action.layout):
                ink = AXIS_COLORS.get(axis, INK)
                axes.step(seconds, episode.answers[:, index], color=ink, where="post", linewidth=1.2, label=axis)
            axes.set_ylim(-1.08, 1.08)
        elif name == "weights" and shared is not None:
            _stack(axes, seconds, shared, spec)
        elif episode.drove is not None:
            axes.fill_between(seconds, 0, 1, color=POLICY, step="post", linewidth=0, label="policy")
            axes.fill_between(seconds, 0, episode.drove, color=OPERATOR, step="post", linewidth=0, label="operator")
            axes.set_ylim(0, 1)
            axes.set_yticks([])
        for first, last in idle_stretches(episode):
            axes.axvspan(first, last, color=FAINT, alpha=0.12, linewidth=0)
        for moment, _ in gaps(episode):
            axes.axvline(moment, color="#d1495b", linewidth=0.8, linestyle=":")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    grid[-1].set_xlabel("time [s]", color=INK, fontsize=9)
    grid[-1].set_xlim(0.0, max(float(seconds[-1]), 1e-3))
    grid[0].set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    save(figure, path)


def _stack(axes: Axes, seconds: NDArray[np.float64], weights: NDArray[np.float64], spec: TaskSpec) -> None:
    bottom = np.zeros(len(seconds))
    for index, skill in enumerate(spec.skill_names):
        top = bottom + weights[:, index]
        if weights[:, index].any():
            ink, name = color(spec, skill), label(spec, skill)
            axes.fill_between(seconds, bottom, top, color=ink, step="post", linewidth=0, label=name)
        bottom = top
    axes.set_ylim(0, 1)


def plot_set(episodes: Sequence[Episode], spec: TaskSpec, path: Path, title: str) -> None:
    """Write a picture: the hand's paths for each network, from above and from behind; what was not solved is dashed."""
    networks = list(dict.fromkeys(episode.meta.network for episode in episodes))
    columns = min(COLUMNS, len(networks))
    lines = -(-len(networks) // columns)
    figure = new_figure(3.6 * columns, 0.7 + 4.6 * lines, 130, "constrained")
    grid = figure.subplots(2 * lines, columns, squeeze=False, gridspec_kw={"height_ratios": [1.3, 1.0] * lines})
    for axes in grid.flat:
        axes.set_axis_off()
    for number, network in enumerate(networks):
        line, column = divmod(number, columns)
        top, side = grid[2 * line, column], grid[2 * line + 1, column]
        of_network = [episode for episode in episodes if episode.meta.network == network]
        for axes, (across, up) in ((top, (1, 0)), (side, (1, 2))):
            axes.set_axis_on()
            dress(axes, 8, "both")
            for episode in of_network:
                path_of = np.array([state.hand_position for state in episode.states])
                solved = episode.meta.outcome == Outcome.SUCCESS.value
                ink, style = color(spec, network), "-" if solved else "--"
                axes.plot(path_of[:, across], path_of[:, up], style, color=ink, linewidth=0.9, alpha=0.7)
                axes.plot(path_of[0, across], path_of[0, up], "o", color=INK, markersize=2.5)
            axes.set_aspect("equal", adjustable="datalim")
            axes.invert_xaxis()  # the base looks along x: y points to the left
            axes.set_xlabel("y [m]", fontsize=8, color=INK)
            axes.set_ylabel(f"{'xyz'[up]} [m]", fontsize=8, color=INK)
        duration = sum(float(times(episode)[-1]) for episode in of_network)
        name = label(spec, network)
        heading = f"{name[0].upper() + name[1:]}: {len(of_network)} episodes, {duration:.0f} s"
        top.set_title(heading, loc="left", fontsize=9, fontweight="bold", color=INK)
    figure.suptitle(f"{title}: the hand from above, and from behind; dots are starts", fontsize=11, color=INK)
    save(figure, path)

"""Plots: training curves, success rates, and what mixtures learn.

Drawn without a display, and matplotlib's global state is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec
from roman_moe.report.figure import LINES, dress, new_figure, save
from roman_moe.report.palette import INK, color, label

OUR_METHOD, OURS, OTHERS = "hybrid", "#3aa655", "#3d78e6"
"""The method that the others are compared with, and the bars' colours."""
MARKS = "os^Dv"  # of points: not all see every colour apart


def plot_curves(spec: TaskSpec, curves: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Write a PNG: for each network what its checkpoints solved, with the 95 % interval, over environment steps.

    Args:
        curves: rows with "steps", "success" and "ci95" by network.
    """
    figure, (grid,) = _panels(len(curves), shared=True)
    for axes, (name, rows) in zip(grid.flat, curves.items(), strict=False):
        rates, intervals = [row["success"] for row in rows], [row["ci95"] for row in rows]
        _plot_success(axes, spec, name, [row["steps"] / 1000 for row in rows], rates, intervals)
    for column in grid.T:  # the lowest of each that has a plot
        axes = [axes for axes in column if axes.axison][-1]
        axes.set_xlabel("thousand environment steps", color=INK, fontsize=9)
        axes.tick_params(labelbottom=True)
    grid.flat[0].set_xlim(0.0, None)
    _save_panels(figure, path, lowest=0.0)


ERRORS = {
    "noise": "clip bound of the noise [mm]",
    "bias": "bound of the constant offset [mm]",
    "calibration": "calibration error [degrees, mm]",
}
"""What an evaluation may vary, by its report's keys, as the axis says it."""


def plot_errors(spec: TaskSpec, report: Mapping[str, Any], path: Path) -> None:
    """Write a picture: what was solved of each start, with the 95 % interval, over each error that has several values.

    Args:
        report: of an evaluation that varied one of `ERRORS`.
    """
    varied = [what for what in ERRORS if what in report]
    starts = [(kind, name) for kind in ("scenarios", "skills") for name in report[kind]]
    figure, blocks = _panels(len(starts), len(varied))
    for what, block in zip(varied, blocks, strict=True):
        values = [[float(number) for number in key.split(":")] for key in report[what]]
        if what == "calibration":
            places: list[float] = [*range(len(values))]
            ticks = [f"{turn:g}\N{DEGREE SIGN}\n{1e3 * shift:g} mm" for turn, shift in values]
        else:
            places = [1e3 * value for (value,) in values]
            ticks = [f"{place:g}" for place in places]
        for axes, (kind, name) in zip(block.flat, starts, strict=False):
            rows = [condition[kind][name] for condition in report[what].values()]
            network = f"scenario {name}" if kind == "scenarios" else name
            rates, intervals = [row["rate"] for row in rows], [row["ci95"] for row in rows]
            _plot_success(axes, spec, network, places, rates, intervals)
            axes.set_xticks(places, ticks)
        for axes in block.flat[max(0, len(starts) - block.shape[1]) : len(starts)]:
            axes.set_xlabel(ERRORS[what], color=INK, fontsize=9)
    title = f"{Path(report['controller']).name}: {report['episodes']} episodes a point, 95 % intervals shaded"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    _save_panels(figure, path)


def _panels(count: int, blocks: int = 1, shared: bool = False) -> tuple[Figure, list[NDArray[Any]]]:
    """A figure with blocks of that many small plots, the axes of each block as a grid; `shared`: the x-axis, too."""
    columns = min(4, count)
    lines = -(-count // columns)
    figure = new_figure(3.4 * columns, 2.7 * lines * blocks)
    grid = np.split(figure.subplots(lines * blocks, columns, squeeze=False, sharex=shared, sharey=True), blocks)
    for block in grid:
        for axes in block.flat[count:]:
            axes.set_axis_off()
        for axes in block[:, 0]:
            axes.set_ylabel("episodes solved", color=INK, fontsize=9)
    return figure, grid


def _plot_success(
    axes: Axes,
    spec: TaskSpec,
    network: str,
    places: Sequence[float],
    rates: Sequence[float],
    intervals: Sequence[Sequence[float]],
) -> None:
    """Success rates and their 95 % intervals over something, in the network's colour."""
    ink = color(spec, network)
    low, high = zip(*intervals, strict=True)
    axes.fill_between(places, low, high, color=ink, alpha=0.2, lw=0)
    axes.plot(places, rates, color=ink, marker="o", markersize=3.5)
    title = label(spec, network)
    axes.set_title(title[0].upper() + title[1:], loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    dress(axes, 8, "y")


def _save_panels(figure: Figure, path: Path, lowest: float | None = None) -> None:
    if lowest is None:
        lowest = np.floor(10.0 * min(axes.dataLim.y0 for axes in figure.axes if axes.has_data())) / 10.0
    figure.axes[0].set_ylim(lowest, 1.02)  # which all share
    save(figure, path)


def plot_rates(
    methods: Mapping[str, Mapping[str, Any]], path: Path, questions: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    """Write a PNG: for each scenario or skill a bar a method, its success rate with the 95 % interval.

    Args:
        methods: by name; each with "scenarios" and "skills", whose rows have "rate" and "ci95".
        questions: what the methods are compared for; each with what the methods are called there, in order. Those of
            which nothing is compared are left out. Without any there is one group of all methods.
    """
    asked = {
        question: {name: words for name, words in called.items() if name in methods}
        for question, called in (questions or {}).items()
        if any(name in methods and name != OUR_METHOD for name in called)
    } or {"": {name: name.replace("_", " ") for name in methods}}
    bars: list[tuple[int, str, str]] = []  # place, method and what it is called
    headings: list[tuple[int, str]] = []
    for question, called in asked.items():
        begins = bars[-1][0] + 3 if bars else 0
        headings.append((begins - 1, question))
        bars += [(place, *method) for place, method in enumerate(called.items(), begins)]
    first = next(iter(methods.values()))
    starts = [(kind, name) for kind in ("scenarios", "skills") for name in first[kind]]
    rows_high = bars[-1][0] + 2.5
    figure = new_figure(8.5, 0.6 + len(starts) * (0.5 + 0.28 * rows_high))
    for axes, (kind, start) in zip(figure.subplots(len(starts), 1, squeeze=False)[:, 0], starts, strict=True):
        rows = [methods[name][kind][start] for _, name, _ in bars]
        rates = np.array([row["rate"] for row in rows])
        bounds = np.array([row["ci95"] for row in rows])
        places = np.array([place for place, _, _ in bars])
        colors = [OURS if name == OUR_METHOD else OTHERS for _, name, _ in bars]
        axes.barh(places, rates, color=colors, height=0.7)
        axes.errorbar(rates, places, xerr=np.abs(bounds.T - rates), fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5)
        for place, row in zip(places, rows, strict=True):
            axes.text(1.02, place, f"{row['rate']:.1%}", va="center", fontsize=9, color=INK)
        for place, question in headings:
            axes.text(0.0, place, question, va="center", fontsize=9.5, fontweight="bold", color=INK)
        axes.set_yticks(places, [words for _, _, words in bars], color=INK, fontsize=9)
        axes.set_ylim(rows_high - 1.8, -1.8 if any(asked) else -0.6)
        axes.set_xlim(0.0, 1.0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        dress(axes, 9)
        title = f"Scenario {start}" if kind == "scenarios" else f"{start} alone"
        axes.set_title(f"{title}: episodes solved", loc="left", fontsize=11, fontweight="bold", color=INK)
    save(figure, path)


def plot_bands(
    curves: Mapping[str, NDArray[np.float64]], places: Sequence[float], path: Path, over: str, what: str
) -> None:
    """Write a PNG: each method's mean over seeds, with its 95 % interval shaded.

    Args:
        curves: (3, points) of each method: mean, low and high.
        over, what: the axes' labels.
    """
    figure = new_figure(8.0, 4.5)
    axes = figure.subplots()
    for name, (mean, low, high) in curves.items():
        (line,) = axes.plot(places, mean, label=name.replace("_", " "), lw=1.6)
        axes.fill_between(places, low, high, color=line.get_color(), alpha=0.2, lw=0)
    axes.set_xlabel(over, color=INK)
    axes.set_ylabel(what, color=INK)
    axes.set_title("mean over seeds, 95 % intervals shaded", loc="left", fontsize=11, color=INK)
    dress(axes, 10, "both")
    axes.legend(frameon=False)
    save(figure, path)


def plot_map(places: Mapping[str, NDArray[np.float32]], path: Path, title: str) -> None:
    """Draw points of a plane whose axes mean nothing, (n, 2) of each name, in a colour and with a mark of its own."""
    figure = new_figure(8.0, 5.0)
    axes = figure.subplots()
    shades = colormaps["tab10" if len(places) <= 10 else "turbo"]
    for number, (name, points) in enumerate(places.items()):
        shade = shades(number if len(places) <= 10 else number / (len(places) - 1))
        mark = MARKS[number % len(MARKS)]
        axes.scatter(
            points[:, 0], points[:, 1], s=12, marker=mark, color=shade, alpha=0.8, lw=0, label=name.replace("_", " ")
        )
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(LINES)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2.0)
    save(figure, path)


def plot_moves(
    cells: NDArray[np.int64], moves: Sequence[tuple[int, int]], policies: Mapping[str, NDArray[np.float64]], path: Path
) -> None:
    """Write a PNG: in each cell of a grid world an arrow for each move, as long as it is likely.

    Args:
        cells: (n, 2) row and column of each.
        moves: row and column of each action.
        policies: (n, actions) probabilities, by what stands above the map.
    """
    figure = new_figure(4.2 * len(policies), 4.2)
    rows, columns = cells.T
    panels = figure.subplots(1, len(policies), squeeze=False)[0]
    for axes, (title, shares) in zip(panels, policies.items(), strict=True):
        for row, column in cells:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="#f3f4f6", edgecolor="white"))
        for (down, right), share in zip(moves, shares.T, strict=True):
            lengths = (0.5 * right * share, 0.5 * down * share)
            axes.quiver(columns, rows, *lengths, angles="xy", scale_units="xy", scale=1, color=OTHERS, width=0.008)
        axes.set_title(title, loc="left", fontsize=11, color=INK)
        axes.set_xlim(columns.min() - 0.6, columns.max() + 0.6)
        axes.set_ylim(rows.max() + 0.6, rows.min() - 0.6)
        axes.set_aspect("equal")
        axes.set_axis_off()
    save(figure, path)

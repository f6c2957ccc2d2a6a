"""`roman-moe train gridworld`: Distral in its two-room grid world, compared with separate soft Q-learning of each
task."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.cli.progress import CountProgress
from roman_moe.core.files import write_json
from roman_moe.core.ranges import MORE_THAN_0, Range


@dataclass(frozen=True, kw_only=True)
class Gridworld:
    """Compare Distral with separate soft Q-learning in two rooms."""

    needs = ("matplotlib",)

    seeds: Annotated[opt.Number, Range(2, 1000)] = 10
    """Number of seeds: 0, 1, 2, ... Each draws its own goals."""

    tasks: Annotated[opt.Number, Range(1, 32)] = 6
    """Number of goals that are learned together."""

    iterations: opt.Count = 200
    """Number of iterations; each ends with an update of Distral's prior."""

    rollouts: opt.Count = 10
    """Rollouts of each task in an iteration."""

    length: opt.Count = 100
    """Maximum number of steps of a rollout."""

    alpha: opt.Share = 1.0
    """Share of the regularisation that keeps to the prior; the rest rewards entropy."""

    beta: Annotated[float, tyro.conf.arg(metavar="NUMBER"), MORE_THAN_0] = 5.0
    """Inverse of the regularisation's strength: 1 / (cKL + cEnt)."""

    out: opt.Folder = Path("runs/gridworld")
    """Folder for the pictures."""

    json: opt.Report = None

    def main(self) -> int:
        from roman_moe.evaluation.statistics import mean_interval
        from roman_moe.learning.algorithms.tabular_distral import TabularDistral, state_of
        from roman_moe.report.plots import plot_bands, plot_moves
        from roman_moe.suites.two_rooms import ACTIONS, MOVES, TwoRooms

        console, began = Console(), time.monotonic()
        ours = TabularDistral(
            alpha=self.alpha, beta=self.beta, tasks=self.tasks, iterations=self.iterations, rollouts=self.rollouts,
            length=self.length,
        )  # fmt: skip
        if ours.wanders:
            opt.say(
                console,
                f"alpha {self.alpha:g}, beta {self.beta:g}: entropy earns more than a step costs, so the regularised "
                "optimum wanders: expect low returns (docs/mixtures.md)",
            )
        recipes = {"distral": ours, "separate": dataclasses.replace(ours, distilled=False, alpha=1.0)}
        world = TwoRooms.build()
        returns: dict[str, NDArray[np.float64]] = {}
        with CountProgress(console, "two rooms", len(recipes) * self.iterations, "iterations") as progress:
            for name, recipe in recipes.items():
                returns[name], learned = recipe.learn(self.seeds, progress.advance)
                if recipe is ours:
                    prior = learned
        report: dict[str, Any] = {name: summary(found) for name, found in returns.items()}
        cells, directions = np.arange(len(world.cells)), {move: ACTIONS.index(move) for move in ("left", "right")}
        after = {move: prior[:, state_of(cells, action, False)] for move, action in directions.items()}
        keeps = {
            move: mean_interval(after[move][:, world.corridor, action].mean(axis=1)).tolist()
            for move, action in directions.items()
        }
        self.out.mkdir(parents=True, exist_ok=True)
        bands = {name: mean_interval(found) for name, found in returns.items()}
        plot_bands(bands, range(1, self.iterations + 1), self.out / "returns.png", "iteration", "return of a rollout")
        drawn = {f"prior after a move to the {move}": shares.mean(axis=0) for move, shares in after.items()}
        plot_moves(world.cells, MOVES, drawn, self.out / "prior.png")
        console.print(table(report, self.seeds))
        kept = ", ".join(f"{move} {mean:.2f} ({low:.2f} to {high:.2f})" for move, (mean, low, high) in keeps.items())
        opt.say(console, f"in the corridor the prior keeps its direction: {kept}")
        opt.say(console, f"{self.out}: returns.png, prior.png, {time.monotonic() - began:.0f} s")
        if self.json:
            report |= {"keeps_direction": keeps, "seeds": self.seeds, "recipe": dataclasses.asdict(ours)}
            write_json(self.json, report)
        return 0


def summary(returns: NDArray[np.float64]) -> dict[str, Any]:
    """What one way of learning reached: (seeds, iterations) mean returns."""
    from roman_moe.evaluation.statistics import mean_interval

    tenth = max(1, returns.shape[1] // 10)
    everything, last = (mean_interval(part.mean(axis=1)).tolist() for part in (returns, returns[:, -tenth:]))
    return {
        "mean": everything[0],
        "ci95": everything[1:],
        "by_seed": returns.mean(axis=1).tolist(),
        "last_tenth": {"mean": last[0], "ci95": last[1:]},
    }


def table(report: Mapping[str, Any], seeds: int) -> Table:
    """Mean return over all iterations, and over the last tenth of them."""
    title = f"return of a rollout, {seeds} seeds, 95 % intervals"
    shown = opt.number_table(title, "", "all iterations", "last tenth")
    for name, found in report.items():
        rows = (found, found["last_tenth"])
        shown.add_row(name, *(f"{row['mean']:.2f} ({row['ci95'][0]:.2f} to {row['ci95'][1]:.2f})" for row in rows))
    return shown

"""`roman-moe evaluate multitask`: success rate on each task of a policy of `train multitask`, or of random actions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.core.errors import ConfigError


@dataclass(frozen=True)
class Multitask:
    """Evaluate a policy of `train multitask` on each task."""

    policy: tyro.conf.Positional[Path]
    """Folder of the training; or `random` for random actions on --suite."""

    suite: opt.OptionalText = ""
    """Suite of `random` actions; a training's folder names its own."""

    episodes: opt.Count = 100
    """Episodes of each task; rounded up to a multiple of the number that runs in parallel."""

    seed: opt.Natural = 0
    """Seed of the episodes, which always differ from the training's."""

    json: opt.Report = None
    routing: opt.OptionalFile = None
    """Plot the routing weights of a Soft-Modular policy for each task, by t-SNE: .png, .pdf or .svg, and .npz with the
    numbers."""

    @property
    def needs(self) -> tuple[str, ...]:
        return ("torch", "matplotlib", "sklearn") if self.routing else ("torch",)

    def main(self) -> int:
        from roman_moe.learning.runs.multitask import RANDOM, judge, judge_random

        random = self.policy == Path(RANDOM)
        if random and not self.suite:
            raise ConfigError(f"evaluate multitask {RANDOM}: expected --suite, such as --suite conflict")
        if self.suite and not random:
            raise ConfigError(f"--suite: {self.policy} has its own suite: leave it out")
        if random and self.routing:
            raise ConfigError("--routing: random actions have no routing weights: leave it out")
        console = Console()
        if self.routing:
            self._draw(self.routing, console)
        began = time.monotonic()
        report = (
            judge_random(self.suite, self.episodes, self.seed)
            if random
            else judge(self.policy, self.episodes, self.seed)
        )
        console.print(success_table(report))
        spent = (
            f"{sum(row['episodes'] for row in report['tasks'].values())} episodes in {time.monotonic() - began:.0f} s"
        )
        opt.say(console, f"{spent}; solved means: {report['solved']}")
        opt.write_report(self.json, report)
        return 0

    def _draw(self, picture: Path, console: Console) -> None:
        from roman_moe.learning.runs.routing import routing_of
        from roman_moe.report.plots import plot_map

        routing, numbers = routing_of(self.policy, self.seed), picture.with_suffix(".npz")
        places = routing.map(self.seed)
        routing.save(numbers, places)
        title = f"{routing.method} on {routing.suite}: routing weights of {places.shape[1]} states a task, by t-SNE"
        plot_map(dict(zip(routing.tasks, places, strict=True)), picture, title)
        opt.say(console, f"{picture}, {numbers}: routing weights")


def success_table(report: Mapping[str, Any]) -> Table:
    """A row a task, and their mean."""
    trained = "cloned" if report["cloned"] else f"{report['steps']} steps a task"
    title = f"{report['suite']}, {report['method']}: {trained}, seed {report['seed']}"
    table = opt.number_table(title, "task", "solved", "rate", "95 % interval")
    for name, row in report["tasks"].items():
        low, high = row["ci95"]
        interval = f"{100 * low:.1f} to {100 * high:.1f} %"
        table.add_row(name, f"{row['successes']}/{row['episodes']}", f"{row['rate']:.1%}", interval)
    table.add_row("mean of the tasks", "", f"{report['mean']:.1%}", "")
    return table

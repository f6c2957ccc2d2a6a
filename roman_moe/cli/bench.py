"""`roman-moe bench`: the figures of README, each from the part that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.paths import find_shipped


@dataclass(frozen=True)
class Bench:
    """Measure the simulation, the controller, the ROS graph or the training, on an otherwise idle machine."""

    part: tyro.conf.Positional[Literal["sim", "control", "graph", "learn", "swap", "endurance"]]
    """sim: the lab's speed; control: one tick of the controller; graph: delay and CPU from scene to command; learn:
    hybrid learning and how much of it is physics; swap: replacing networks while the arm moves;
    endurance: what is left behind by bringing the graph up and down, and by running it for long."""

    controller: Path = Path("models/roman")
    """Folder of the controller bundle, for control, graph and swap."""

    swaps: int = 1000
    """How many networks to replace, for swap."""

    bringups: int = 200
    """How often to bring the graph up and down in one process, for endurance."""

    separate_bringups: int = 10
    """How often to do so with a process a node."""

    minutes: float = 60.0
    """Of simulated time to run for, for endurance."""

    seconds: float = 10.0
    """About how long each measurement of sim, graph and learn lasts [s]."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures to this file."""

    def main(self) -> int:
        """Measure and print; 0 when done."""
        if not 0 < self.seconds < float("inf"):
            raise ConfigError(f"--seconds {self.seconds}: expected more than 0")
        for name, count in (("swaps", self.swaps), ("bringups", self.bringups)):
            if count < 1:
                raise ConfigError(f"--{name} {count}: expected 1 or more")
        if self.separate_bringups < 0 or not 0 < self.minutes < float("inf"):
            raise ConfigError("--separate-bringups and --minutes: expected 0 or more, and more than 0")
        figures = self.measure()
        Console().print(figures_table(f"bench {self.part}", figures))
        if self.json:
            write_json(self.json, figures)
        return 0

    def measure(self) -> dict[str, Any]:
        """The figures of the chosen part, as they go into the JSON file."""
        if self.part == "sim":
            from roman_moe.bench import sim

            return sim.measure(seconds=self.seconds)
        if self.part == "control":
            from roman_moe.bench import control

            return control.measure(find_shipped(self.controller))
        if self.part == "swap":
            from roman_moe.bench import swap

            return swap.measure(find_shipped(self.controller), swaps=self.swaps)
        if self.part == "endurance":
            from roman_moe.bench import endurance

            return endurance.measure(
                find_shipped(self.controller),
                bringups=self.bringups,
                separate_bringups=self.separate_bringups,
                minutes=self.minutes,
            )
        if self.part == "learn":
            from roman_moe.bench import learn

            return learn.measure(seconds=self.seconds)
        from roman_moe.bench import graph

        return graph.measure(find_shipped(self.controller), seconds=self.seconds)


def figures_table(title: str, figures: dict[str, Any]) -> Table:
    """One row a figure; nested ones by their path, such as composed.p99_ms."""
    table = Table("figure", "value", title=title, title_justify="left")
    for name, value in flat(figures):
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    return table


def flat(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Leaves of nested dictionaries with their dotted path, in order."""
    rows: list[tuple[str, Any]] = []
    for key, value in figures.items():
        name = f"{prefix}{key}"
        rows.extend(flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)])
    return rows

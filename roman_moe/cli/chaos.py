"""`roman-moe chaos`: injects faults into a running graph and checks its reactions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.cli.selections import ALL, parse_names
from roman_moe.core.ranges import Range

if TYPE_CHECKING:
    from roman_moe.bench.chaos import Result


EPISODE, DAMAGED = 25.0, 0.3  # [s] about what one takes on an idle machine, restarts included


@dataclass(frozen=True)
class Chaos:
    """Inject faults into a graph in motion; check its reactions."""

    needs = ("rclpy", "onnxruntime", "mujoco", "onnx")

    bundle: opt.Bundle = Path("models/roman")
    faults: opt.Names = ALL
    """All, or some such as kill_blender,flood; docs/safety.md lists them."""

    runs: opt.Count = 10
    """Episodes with each fault."""

    start: Literal["2", "3", "4", "5", "6"] = "2"
    """Scenario of each episode; lower ones end too soon for a fault."""

    damaged: Annotated[opt.Number, Range(0, 200)] = 200
    """Number of damaged networks to swap to while the arm moves; 0 for none."""

    seed: opt.Natural = 0
    """Seed of the starts and of the moments of the faults."""

    json: opt.Report = None

    def main(self) -> int:
        """0 if every arm stopped in time, nine of ten tasks were solved and every damaged network was refused."""
        from roman_moe.bench.chaos import FAULTS, measure

        console = Console()

        def told(name: str, result: Result) -> None:
            stopped = f", stopped in time {result.stopped_in_time}" if result.needs_stop else ""
            why = f" ({result.failures[-1]})" if result.failures else ""
            opt.say(console, f"{name}: {result.task_successes} of {result.runs} solved{stopped}{why}")

        faults = parse_names(self.faults, tuple(fault.name for fault in FAULTS), "--faults")
        identity = opt.show_bundle(console, self.bundle)
        what = f"{self.runs} episodes with each of {len(faults)} faults, {self.damaged} damaged networks"
        opt.announce(console, what, self.runs * len(faults) * EPISODE + self.damaged * DAMAGED)
        report = identity.to_dict() | measure(
            identity.path,
            runs=self.runs,
            faults=faults,
            start=self.start,
            seed=self.seed,
            damaged=self.damaged,
            on_run=told,
        )
        console.print(faults_table(report))
        opt.write_report(self.json, report)
        return 0 if survived(report) else 1


def survived(report: dict[str, Any]) -> bool:
    """Whether the graph stood it."""
    damaged = report.get("damaged_models", {"tried": 0, "refused": 0, "crashes": 0})
    return (
        damaged["refused"] == damaged["tried"]
        and not damaged["crashes"]
        and all(
            fault["task_successes"] >= 0.9 * fault["runs"]
            and (not fault["needs_stop"] or fault["stopped_in_time"] == fault["runs"])
            for fault in report["faults"].values()
        )
    )


def faults_table(report: dict[str, Any]) -> Table:
    """A row a fault, and one for the damaged networks."""
    table = Table("fault", "solved", "stopped in time", "slowest stop", "restarts", box=None, pad_edge=False)
    for name, fault in report["faults"].items():
        stops = fault["needs_stop"]
        table.add_row(
            name,
            f"{fault['task_successes']}/{fault['runs']}" if fault["runs"] else "not tried here",
            f"{fault['stopped_in_time']}/{fault['runs']}" if stops else "",
            f"{fault['slowest_stop_s']:.2f} s" if stops else "",
            str(fault["restarts"]),
        )
    if "damaged_models" in report:
        damaged = report["damaged_models"]
        table.add_row("damaged networks", f"{damaged['refused']}/{damaged['tried']} refused", "", "", "")
    return table

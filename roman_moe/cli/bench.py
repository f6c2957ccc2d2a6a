"""`roman-moe bench`: measures the figures of README."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.control.identity import Identity
from roman_moe.core.ranges import Range

# What an idle machine of two cores takes, for the estimate before a long run.
SWAP = 0.7  # [s] ramp included
START, SEPARATE_START = 1.5, 6.0  # [s]
FASTER = 15.0  # simulated seconds a second in lockstep


@dataclass(frozen=True)
class Part:
    """Base of the parts of `bench`: measure, print, and write with --json."""

    json: opt.OptionalFile = None
    """Write the figures to this file."""

    def main(self) -> int:
        console = Console()
        figures = self.measure(console)
        shown = {name: value for name, value in figures.items() if not name.startswith("controller")}
        console.print(figures_table(f"bench {type(self).__name__.lower()}", shown))
        opt.write_report(self.json, figures)
        return 0

    def measure(self, console: Console) -> dict[str, Any]:
        """The figures, as they go into the JSON file."""
        raise NotImplementedError


@dataclass(frozen=True)
class Timed(Part):
    """A part that measures for some time."""

    seconds: opt.Seconds = 10.0
    """Approximate duration of each measurement."""


@dataclass(frozen=True)
class Controlled(Part):
    """A part that runs a bundle."""

    bundle: opt.Bundle = Path("models/roman")

    def measure(self, console: Console) -> dict[str, Any]:
        identity = opt.show_bundle(console, self.bundle)
        return identity.to_dict() | self.measure_of(identity, console)

    def measure_of(self, identity: Identity, console: Console) -> dict[str, Any]:
        """The figures of this bundle."""
        raise NotImplementedError


@dataclass(frozen=True)
class Sim(Timed):
    """Speed of a task's simulation."""

    needs = ("mujoco", "gymnasium")

    task: opt.Task = "roman"

    def measure(self, console: Console) -> dict[str, Any]:
        from roman_moe.bench import sim

        return {"task": self.task, **sim.measure(seconds=self.seconds, task=self.task)}


@dataclass(frozen=True)
class Control(Controlled):
    """Duration of one tick of the controller."""

    needs = ("onnxruntime",)

    beside: opt.OptionalFolder = None
    """Another bundle for the same task, timed in turn on the same scenes."""

    def measure_of(self, identity: Identity, console: Console) -> dict[str, Any]:
        from roman_moe.bench import control

        other = opt.show_bundle(console, self.beside) if self.beside is not None else None
        figures = control.measure(identity.path, beside=other.path if other is not None else None)
        if other is not None:
            figures["beside"] = other.to_dict() | figures["beside"]
        return figures


@dataclass(frozen=True)
class Graph(Timed, Controlled):
    """Delay and CPU of the ROS graph from scene to command."""

    needs = ("rclpy", "onnxruntime")

    def measure_of(self, identity: Identity, console: Console) -> dict[str, Any]:
        from roman_moe.bench import graph

        return graph.measure(identity.path, seconds=self.seconds)


@dataclass(frozen=True)
class Calibration(Part):
    """Accuracy of calibration on noisy simulated images."""

    needs = ("cv2", "mujoco")

    seed: opt.Natural = 0
    """Seed of the board's and the hand's poses, and of the noise."""

    def measure(self, console: Console) -> dict[str, Any]:
        from roman_moe.bench import calibration

        return calibration.measure(self.seed)


@dataclass(frozen=True)
class Markers(Part):
    """Pose errors of markers."""

    needs = ("cv2", "mujoco")

    task: opt.Task = "roman"
    starts: opt.Count = 30
    """Number of starts."""

    width: opt.Count = 960
    """Width of the images; their height is three quarters of it."""

    def measure(self, console: Console) -> dict[str, Any]:
        from roman_moe.bench import markers

        return {"task": self.task, "width": self.width, **markers.measure(self.task, self.starts, self.width)}


@dataclass(frozen=True)
class Estimator(Part):
    """Duration of one estimate of the object poses."""

    needs = ("cv2", "mujoco", "onnxruntime")

    task: opt.Task = "roman"
    estimator: opt.Estimator = ""
    frame_sets: opt.Count = 200
    """Number of estimates, each from one image of every camera."""

    def measure(self, console: Console) -> dict[str, Any]:
        from roman_moe.bench import estimator
        from roman_moe.evaluation.poses import usable_estimator
        from roman_moe.sim.registry import load_sim_task

        file = usable_estimator(load_sim_task(self.task), self.estimator)
        return {"task": self.task, "estimator": str(file), **estimator.measure(self.task, file, self.frame_sets)}


@dataclass(frozen=True)
class Learn(Timed):
    """Speed of hybrid learning, and the share of physics in it."""

    needs = ("torch", "stable_baselines3", "tensorboard", "mujoco", "gymnasium", "rosbags")

    task: opt.Task = "roman"

    def measure(self, console: Console) -> dict[str, Any]:
        from roman_moe.bench import learn
        from roman_moe.sim.registry import load_sim_task

        return {"task": self.task, **learn.measure(load_sim_task(self.task), seconds=self.seconds)}


@dataclass(frozen=True)
class Mixtures(Timed):
    """Time saved by batching Soft Modularization's modules."""

    needs = ("torch",)

    def measure(self, console: Console) -> dict[str, Any]:
        from roman_moe.bench import mixtures

        return mixtures.measure(seconds=self.seconds)


@dataclass(frozen=True)
class Swap(Controlled):
    """Delay and steps of replacing networks while the arm moves."""

    needs = ("rclpy", "onnxruntime", "mujoco", "onnx")

    swaps: opt.Count = 1000
    """Number of networks to replace."""

    def measure_of(self, identity: Identity, console: Console) -> dict[str, Any]:
        from roman_moe.bench import swap

        opt.announce(console, f"{self.swaps} swaps", self.swaps * SWAP)
        return swap.measure(identity.path, swaps=self.swaps)


@dataclass(frozen=True)
class Endurance(Controlled):
    """Leaks of many starts of the graph, and of a long run."""

    needs = ("rclpy", "onnxruntime", "mujoco")

    bringups: opt.Count = 200
    """Number of starts of the graph in one process."""

    separate_bringups: opt.Natural = 10
    """Number of starts with a process for each node."""

    minutes: opt.Minutes = 60.0
    """Simulated time to run for."""

    def measure_of(self, identity: Identity, console: Console) -> dict[str, Any]:
        from roman_moe.bench import endurance

        what = f"{self.bringups} starts in one process, {self.separate_bringups} as processes, "
        what += f"{self.minutes:g} simulated minutes"
        seconds = self.bringups * START + self.separate_bringups * SEPARATE_START + self.minutes * 60.0 / FASTER
        opt.announce(console, what, seconds)
        return endurance.measure(
            identity.path,
            bringups=self.bringups,
            separate_bringups=self.separate_bringups,
            minutes=self.minutes,
        )


@dataclass(frozen=True)
class Record(Timed):
    """Losses and processor time of recording."""

    needs = ("rclpy", "rosbags", "mcap", "cv2")

    task: opt.Task = "roman"
    kills: opt.Count = 100
    """Number of recording processes to kill at random moments."""

    def measure(self, console: Console) -> dict[str, Any]:
        from roman_moe.bench import record

        return {"task": self.task, **record.measure(self.task, self.seconds, self.kills)}


@dataclass(frozen=True)
class Teleop(Controlled):
    """Latency of an operator's keys, and smoothness of take-overs."""

    needs = ("rclpy", "onnxruntime")

    takeovers: opt.Count = 200
    """Number of take-overs, each with a hand-back."""

    keys: opt.Count = 100
    """Number of key presses, and of stops."""

    def measure_of(self, identity: Identity, console: Console) -> dict[str, Any]:
        from roman_moe.bench import teleop

        opt.announce(console, f"{self.takeovers} take-overs, {self.keys} keys", self.takeovers + 2.0 * self.keys)
        return teleop.measure(identity.path, self.takeovers, self.keys)


@dataclass(frozen=True)
class Jobs(Part):
    """Overhead of a short job, in processes and on a cluster."""

    needs = ("mujoco",)

    cluster: opt.ClusterAddress = ""
    """A cluster to compare: a Ray cluster's HOST:PORT, auto, or slurm[:PARTITION]."""

    jobs: Annotated[opt.Number, Range(2, 1_000_000)] = 1000
    """Number of jobs."""

    def measure(self, console: Console) -> dict[str, Any]:
        """Of jobs that do next to nothing: `processes_ms`, `cluster_ms` and its `overhead_ms` beyond processes."""
        from roman_moe.bench.jobs import PROCESSES, milliseconds

        found = {"jobs": self.jobs, "processes_ms": milliseconds(PROCESSES, self.jobs)}
        if self.cluster:
            with opt.workers_of(console, self.cluster, PROCESSES, []) as workers:
                found["cluster_ms"] = milliseconds(workers, self.jobs)
            found["overhead_ms"] = found["cluster_ms"] - found["processes_ms"]
        return found


class Bench:
    """Measure simulation, controller, ROS graph or training."""

    PARTS: ClassVar[Mapping[str, type]] = {
        part.__name__.lower(): part
        for part in (
            Sim,
            Control,
            Graph,
            Calibration,
            Markers,
            Estimator,
            Learn,
            Mixtures,
            Swap,
            Endurance,
            Record,
            Teleop,
            Jobs,
        )
    }


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

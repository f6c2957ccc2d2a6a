"""`roman-moe run`: starts the ROS 2 graph and keeps it running until Ctrl-C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from roman_moe.cli import options as opt
from roman_moe.cli.episodes import Episodes
from roman_moe.cli.graph_options import GraphOptions
from roman_moe.cli.keys import HINT, Keys
from roman_moe.cli.ros_args import QUIET
from roman_moe.control.limits import load_limits
from roman_moe.control.manifest import load_manifest, task_of_bundle
from roman_moe.core.errors import ConfigError
from roman_moe.report.live import LiveView

if TYPE_CHECKING:
    from roman_moe.nodes.bringup.graph import NodeSpec

LAB, SERVO, NO_ARM = "lab", "servo", "none"
ARMS: Mapping[str, str] = {
    LAB: "the simulated laboratory",
    "mock": "a mock without physics",
    SERVO: "a robot behind MoveIt Servo",
    NO_ARM: "a graph of your own: scene in, twist out",
}

REDRAW = 0.2  # [s] between two looks at the graph


@dataclass(frozen=True)
class Run(GraphOptions):
    """Run a bundle as a ROS 2 graph, in real time, until Ctrl-C."""

    bundle: opt.Bundle = Path("models/roman")
    arm: Annotated[str, tyro.conf.arg(metavar="{lab,mock,servo,none}")] = LAB
    """The arm: lab (simulated), mock (no physics), servo (a robot behind MoveIt Servo) or none (scenes from and
    commands to a graph of your own)."""

    topics: opt.OptionalFile = None
    """File of other names for topics, such as {scene: /cell/scene, delta_twist_cmds: /cell/twist} (docs/arms.md)."""

    config: opt.OptionalFile = None
    """With --arm servo: file that describes the robot, such as config/arms/franka.yaml (docs/arms.md)."""

    read_only: opt.Flag = False
    """With --arm servo: read the robot's topics and compute commands, but send none."""

    servo_unchecked: opt.Flag = False
    """With --arm servo: send commands although Servo's parameters cannot be read; compare the units by hand first."""

    limits: opt.OptionalFile = None
    """File of the guard's limits on speed, acceleration, workspace and ages; config/limits.yaml if not given."""

    poses: opt.Poses = "truth"
    estimator: opt.Estimator = ""
    calibration: opt.OptionalFolder = None
    """With --arm servo and poses from cameras: folder of the cameras' files NAME.yaml from `roman-moe calibrate`; by
    default topics give the cameras' poses."""

    separate: opt.Flag = False
    """Run each node as a process of its own."""

    task: opt.Simulation = ""
    """With --arm lab: name or folder of the task to simulate; by default the bundle's, from the working directory or
    installed."""

    sim_arm: opt.SimulatedArm = ""
    """With --arm lab: simulated arm: name, such as ur5e, or folder; the task's own if not given."""

    start: opt.Start = ""
    """Skill or number of the scenario from which each episode starts; by default the task's last scenario."""

    seed: opt.Natural = 0
    """Seed of the first episode's start and noise; later episodes count up."""

    noise_bound: opt.Metres = 0.005
    """Clip bound of the noise on object poses; its sigma is a third of that."""

    disturb: opt.Flag = False
    """Move something in the middle of each episode, so that a skill has to be done again."""

    viewer: opt.Flag = False
    """Open MuJoCo's viewer; needs a display."""

    @property
    def needs(self) -> tuple[str, ...]:
        simulated = ("mujoco",) if self.arm == LAB else ()
        return ("rclpy", "onnxruntime", *simulated, *(("cv2",) if self.poses != "truth" else ()))

    def main(self) -> int:
        """Runs until Ctrl-C, which is exit code 130."""
        opt.check_choice("--arm", self.arm, ARMS)
        self._check_arm()
        given = self.noise_bound != Run.noise_bound
        opt.check_poses(self.poses, self.estimator, given, task_of_bundle(self.bundle, self.task))
        _ = self.ros_arguments  # says what is wrong with them before anything starts
        if self.limits is not None:
            load_limits(self.limits)
        from roman_moe.nodes.bringup.graph import load_description, resolve

        spec = task_of_bundle(self.bundle, self.task)
        specs = resolve(load_description(), self._arguments())
        console = Console()
        silent = ", read only" if self.read_only else ""
        opt.show_bundle(console, self.bundle)
        title = f"On {ARMS[self.arm]}{silent}"
        view = LiveView(console, title, spec)
        episodes = Episodes(view, title)
        try:
            with view:
                self._run(specs, view, episodes)
        finally:
            view.say(episodes.summary())
        return 0

    def _arguments(self) -> dict[str, Any]:
        """Of the graph's description."""
        paths = self.given("limits", "topics", "calibration")
        simulation = self.given("task", "sim_arm", "start", "seed", "viewer")
        others = self.given("arm", "read_only", "servo_unchecked", "poses", "estimator", "noise_bound")
        own = {"bundle": str(self.bundle), "arm_config": str(self.config or ""), "disturbed": self.disturb}
        return {**paths, **simulation, **others, **own, "episodes": 0}

    def _run(self, specs: Sequence[NodeSpec], view: LiveView, episodes: Episodes) -> None:
        """Run the graph and show it until a signal comes."""
        with Keys() as keys:
            from roman_moe.nodes.bringup.bringup import running_graph  # takes seconds: Ctrl-C is watched already

            with running_graph(
                specs,
                separate=self.separate,
                private=False,
                respawn=self.separate,
                on_spin=keys.obey,
                ros_arguments=(*self.ros_arguments, *QUIET),
            ) as graph:
                view.say(f"Ctrl-C ends it{f'; {HINT}' if keys.there else ''}")
                while True:
                    graph.spin_until(lambda: False, REDRAW)
                    episodes.show(graph)

    def _check_arm(self) -> None:
        """Refuse what does not fit the arm, before anything starts."""
        if self.arm == SERVO:
            if self.config is None:
                raise ConfigError("--arm servo needs --config: a robot's description, such as config/arms/franka.yaml")
            from roman_moe.arms.config import load_arm_config

            load_arm_config(self.config, task_of_bundle(self.bundle))
        else:
            of_robot = ("config", "read_only", "servo_unchecked", "calibration")
            self.refuse(of_robot, f"is for --arm servo: with --arm {self.arm} there is no robot")
        if self.arm == LAB:
            from roman_moe.sim.arm_spec import load_arm
            from roman_moe.sim.registry import load_sim_task

            task = load_sim_task(self.task or load_manifest(self.bundle).task.name)
            task.start(self.start)
            load_arm(self.sim_arm or task.arm)
        else:
            of_lab = ("viewer", "disturb", "task", "sim_arm", "start")
            self.refuse(of_lab, f"is for --arm lab: with --arm {self.arm} there is no lab")
        if self.arm not in (LAB, SERVO) and self.poses in ("camera", "markers"):
            raise ConfigError(
                f"--poses {self.poses} is for --arm lab or servo: with --arm {self.arm} there is no camera"
            )
        if self.arm in (SERVO, NO_ARM):
            own = f"is for --arm lab or mock: with --arm {self.arm} poses have their own noise"
            self.refuse(("noise_bound", "seed"), own)

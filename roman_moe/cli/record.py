"""`roman-moe record`: demonstrations that an operator gives through the graph, without any simulation or bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro
from rich.console import Console

from roman_moe.cli.episodes import Episodes
from roman_moe.cli.keys import HINT, REARM, Keys
from roman_moe.cli.options import Folder, Number, OptionalFile, check_choice
from roman_moe.cli.parsing import unknown_word
from roman_moe.cli.reach import Reach
from roman_moe.cli.ros_args import QUIET
from roman_moe.cli.run import ARMS, LAB, REDRAW, SERVO
from roman_moe.control.limits import load_limits
from roman_moe.core.errors import ConfigError
from roman_moe.core.ranges import AT_LEAST_1
from roman_moe.core.tasks import load_spec

if TYPE_CHECKING:
    from roman_moe.nodes.bringup.bringup import Graph
    from roman_moe.nodes.bringup.graph import NodeSpec
    from roman_moe.report.live import LiveView

RECORDER = "demo_recorder"
NEXT, AGAIN, QUIT = "n", "r", "q"
KEYS_HINT = f"{NEXT} starts an episode, and keeps it; {AGAIN} discards it, to record it again; {QUIT} ends; {HINT}"
NO_KEYS_HINT = "services start, stop and discard of node demo_recorder record episodes"


@dataclass(frozen=True, kw_only=True)
class Record(Reach):
    """Record demonstrations that an operator gives through the graph."""

    needs = ("rclpy", "rosbags", "mcap")
    ranges: ClassVar = {"episodes": AT_LEAST_1}

    task: Annotated[str, tyro.conf.arg(metavar="TASK")]
    """The task: folder of its task.yaml, or name of one of `roman-moe tasks list`."""

    skill: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """The skill that is taught, or gate; its operator answers each scene (docs/your_task.md)."""

    arm: Annotated[str, tyro.conf.arg(metavar="{mock,servo,none}")]
    """What moves: mock, without physics; servo, a robot behind MoveIt Servo; or none: a graph of your own."""

    episodes: Number = 20
    """Episodes to keep."""

    out: Folder = Path("demos")
    """Folder of the demonstrations; those that are there stay, and new ones come beside them."""

    config: OptionalFile = None
    """With --arm servo: file that describes the robot, such as config/arms/franka.yaml (docs/arms.md)."""

    limits: OptionalFile = None
    """File of the guard's limits on speed, acceleration, workspace and ages; config/limits.yaml if not given."""

    topics: OptionalFile = None
    """File of other names for topics, such as {scene: /cell/scene} (docs/arms.md)."""

    def main(self) -> int:
        """0 when all episodes are kept; 1 if it was ended before."""
        self._check()
        from roman_moe.nodes.bringup.graph import load_description, resolve
        from roman_moe.report.live import LiveView

        specs = resolve(load_description(), self._arguments())
        spec = load_spec(self.task)
        title = f"Recording {self.skill} of task {spec.name} on {ARMS[self.arm]}"
        with LiveView(Console(), title, spec) as view:
            kept = self._record(specs, view, Episodes(view, title))
            view.say(f"{kept} of {self.episodes} episodes kept in {self.out / self.skill}")
        return 0 if kept >= self.episodes else 1

    def _check(self) -> None:
        """Refuse what cannot be used, before anything starts."""
        check_choice("--arm", self.arm, {name: what for name, what in ARMS.items() if name != LAB})
        spec = load_spec(self.task)
        if self.skill not in spec.networks:
            raise ConfigError(f"--skill: {unknown_word('skill', self.skill, spec.networks)}")
        if (self.arm == SERVO) != (self.config is not None):
            raise ConfigError("--arm servo and --config, a robot's description, belong together: give both or neither")
        if self.config is not None:
            from roman_moe.arms.config import load_arm_config

            load_arm_config(self.config, spec)
        if self.limits is not None:
            load_limits(self.limits)
        _ = self.ros_arguments

    def _arguments(self) -> dict[str, Any]:
        """Of the graph's description: no bundle, and true poses where the mock gives them."""
        return {
            "controller": "",
            "task": self.task,
            "arm": self.arm,
            "arm_config": str(self.config or ""),
            "limits": str(self.limits or ""),
            "topics": str(self.topics or ""),
            "noise_bound": 0.0,
            "policy": False,
            "teach": self.skill,
            "demos": str(self.out.resolve()),
        }

    def _record(self, specs: Sequence[NodeSpec], view: LiveView, episodes: Episodes) -> int:
        """Run the graph until all episodes are kept or somebody ends it; how many were kept."""
        with Keys() as keys:
            from roman_moe.nodes.bringup.bringup import running_graph  # takes seconds: Ctrl-C is watched already

            pressed: list[str] = []  # but for those that `obey` takes
            with running_graph(
                specs,
                private=False,
                on_spin=lambda graph: pressed.extend(keys.obey(graph, REARM)),
                ros_arguments=(*self.ros_arguments, *QUIET),
            ) as graph:
                view.say(KEYS_HINT if keys.there else NO_KEYS_HINT)
                while (kept := int(_fact(graph, "kept_episodes") or 0)) < self.episodes and QUIT not in pressed:
                    while pressed:
                        _act(graph, pressed.pop(0))
                    graph.spin_until(lambda: bool(pressed), REDRAW)
                    episodes.show(graph)
                graph.spin_until(lambda: False, REDRAW)  # whoever stopped the last one gets an answer
                return kept


def _act(graph: Graph, key: str) -> None:
    """What a key does to the open episode."""
    if key == NEXT:
        graph.trigger(RECORDER, "stop" if _fact(graph, "recording") else "start")
    elif key == AGAIN:
        graph.trigger(RECORDER, "discard")


def _fact(graph: Graph, key: str) -> str:
    """What the recorder last said of something; empty if nothing."""
    status = graph.monitor.statuses.get(RECORDER)
    return next((value.value for value in status.values if value.key == key), "") if status else ""

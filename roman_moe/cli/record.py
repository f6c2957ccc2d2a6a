"""`roman-moe record`: records an operator's demonstrations and corrections through the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from roman_moe.cli import options as opt
from roman_moe.cli.episodes import RECORDER, Episodes
from roman_moe.cli.graph_options import GraphOptions
from roman_moe.cli.keys import HINT, REARM, Keys
from roman_moe.cli.parsing import unknown_word
from roman_moe.cli.ros_args import QUIET
from roman_moe.cli.run import ARMS, LAB, REDRAW, SERVO
from roman_moe.cli.teleop import DEVICES, KEYBOARD, check_device, open_device
from roman_moe.control.limits import load_limits
from roman_moe.control.manifest import task_of_bundle
from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import GATE
from roman_moe.core.tasks import load_spec
from roman_moe.teleop.device import OperatorEvent
from roman_moe.teleop.keyboard import EVENTS

if TYPE_CHECKING:
    from roman_moe.core.spec import TaskSpec
    from roman_moe.nodes.bringup.bringup import Graph
    from roman_moe.nodes.bringup.graph import NodeSpec
    from roman_moe.nodes.teleop.demo_recorder import DemoRecorder
    from roman_moe.report.live import LiveView

NONE = "none"
SOURCES: Mapping[str, str] = {**DEVICES, NONE: "a node of your own that answers operator/action"}
KEYS_HINT = "n starts an episode, and keeps it; r discards it, to record it again; q ends"
NO_KEYS_HINT = "services start, stop and discard of node demo_recorder record episodes"


@dataclass(frozen=True, kw_only=True)
class Record(GraphOptions):
    """Record an operator's demonstrations through the graph."""

    skill: Annotated[str, tyro.conf.arg(metavar="NAME", help_behavior_hint=opt.SILENT)] = ""
    """The skill to teach, or gate; with --intervene by default the leading skill at the take-over."""

    intervene: Annotated[Path | None, tyro.conf.arg(metavar="BUNDLE", help_behavior_hint=opt.SILENT)] = None
    """Bundle whose policy drives: take over (t), correct it, hand back (h). Only the corrections teach."""

    bundle: opt.Folder = Path("models/roman")
    """With --skill gate: bundle whose experts act with the weights from the device."""

    task: opt.Simulation = ""
    """The task: folder of its task.yaml, or name of one of `roman-moe tasks list`; the bundle's if not given."""

    arm: Annotated[str, tyro.conf.arg(metavar="{lab,mock,servo,none}")] = LAB
    """The arm: lab (simulated; its judge ends episodes), mock (no physics), servo (a robot behind MoveIt Servo) or none
    (a graph of your own)."""

    device: Annotated[str, tyro.conf.arg(metavar="{keyboard,gamepad,spacemouse,joy,none}")] = KEYBOARD
    """The operator's device (docs/teleop.md); none: a node of your own (docs/your_task.md)."""

    device_file: Annotated[str, tyro.conf.arg(metavar="FILE", help_behavior_hint=opt.SILENT)] = ""
    """File of the device, such as /dev/input/js1; for joy, a parameter file of teleop_twist_joy."""

    episodes: opt.Count = 20
    """Episodes to keep."""

    out: opt.Folder = Path("demos")
    """Folder of the demonstrations; existing ones stay, and new ones are added."""

    name: opt.OptionalText = ""
    """Name of the episodes, for people."""

    notes: opt.OptionalText = ""
    """Notes on the episodes, in free text."""

    operator: opt.OptionalText = ""
    """Name of the operator."""

    images: opt.Flag = False
    """With --arm lab or servo: record the compressed images of the task's cameras, too."""

    least_rate: opt.Share = 0.95
    """Share of the task's rate below which an episode is refused."""

    start: opt.Start = ""
    """With --arm lab: skill or number of the scenario from which episodes start; by default the taught skill, or the
    last scenario."""

    seed: opt.Natural = 0
    """With --arm lab: seed of the first episode's start; later episodes count up."""

    viewer: opt.Flag = False
    """With --arm lab: open MuJoCo's viewer; needs a display."""

    config: opt.OptionalFile = None
    """With --arm servo: file that describes the robot, such as config/arms/franka.yaml (docs/arms.md)."""

    limits: opt.OptionalFile = None
    """File of the guard's limits on speed, acceleration, workspace and ages; config/limits.yaml if not given."""

    topics: opt.OptionalFile = None
    """File of other names for topics, such as {scene: /cell/scene} (docs/arms.md)."""

    private: tyro.conf.Suppress[bool] = False
    """Isolate this graph from others on the machine."""

    @property
    def needs(self) -> tuple[str, ...]:
        simulated = ("mujoco",) if self.arm == LAB else ()
        return ("rclpy", "rosbags", "mcap", *simulated, *(("onnxruntime",) if self._policy else ()))

    @property
    def _bundle(self) -> Path:
        return self.intervene or self.bundle

    @property
    def _policy(self) -> bool:
        """Whether gate and experts run: an operator who gives weights needs experts."""
        return self.intervene is not None or (self.skill == GATE and self.device != NONE)

    def main(self) -> int:
        """0 when all episodes are kept; 1 if it was ended before."""
        spec = self._check()
        from roman_moe.nodes.bringup.graph import load_description, resolve
        from roman_moe.report.live import LiveView

        specs = resolve(load_description(), self._arguments())
        console = Console()
        if self._policy:
            opt.show_bundle(console, self._bundle)
        what = f"corrections of {self.skill or 'the skill that leads'}" if self.intervene else self.skill
        title = f"Recording {what} of task {spec.name} on {ARMS[self.arm]}"
        with LiveView(console, title, spec) as view:
            kept = self._record(specs, spec, view, Episodes(view, title))
            view.say(f"{kept} of {self.episodes} episodes kept in {self.out / self.skill}")
        return 0 if kept >= self.episodes else 1

    def _check(self) -> TaskSpec:
        """Refuse what cannot be used, before anything starts; the task."""
        opt.check_choice("--arm", self.arm, ARMS)
        check_device(self.device, self.device_file, SOURCES)
        spec = load_spec(self.task) if self.task else task_of_bundle(self._bundle)
        if self.skill not in (*spec.networks, *([""] if self.intervene else [])):
            raise ConfigError(f"--skill: {unknown_word('skill', self.skill, spec.networks)}")
        if (self.arm == SERVO) != (self.config is not None):
            raise ConfigError("--arm servo and --config, a robot's description, belong together: give both or neither")
        if self.config is not None:
            from roman_moe.arms.config import load_arm_config

            load_arm_config(self.config, spec)
        if self.arm == LAB:
            from roman_moe.sim.registry import load_sim_task

            load_sim_task(self.task or spec.name).start(self._start)
        else:
            self.refuse(("start", "seed", "viewer"), f"is for --arm lab: with --arm {self.arm} there is no lab")
        if self.images and (self.arm not in (LAB, SERVO) or not spec.cameras):
            raise ConfigError("--images: expected --arm lab or servo, and a task with cameras")
        if self.limits is not None:
            load_limits(self.limits)
        _ = self.ros_arguments
        return spec

    @property
    def _start(self) -> str:
        return self.start or ("" if self.intervene or self.skill == GATE else self.skill)

    def _arguments(self) -> dict[str, Any]:
        """Of the graph's description: true poses where lab or mock gives them."""
        return {
            **self.given("task", "arm", "limits", "topics", "images", "seed", "viewer"),
            "bundle": str(self._bundle) if self._policy or not self.task else "",
            "arm_config": str(self.config or ""),
            "noise_bound": 0.0,
            "policy": self._policy,
            "start": self._start,
            "episodes": 0,
        }

    def _record(self, specs: Sequence[NodeSpec], spec: TaskSpec, view: LiveView, episodes: Episodes) -> int:
        """Run the graph until all episodes are kept or somebody ends it; how many were kept."""
        with Keys() as keys:
            from roman_moe.nodes.bringup.bringup import running_graph  # takes seconds: Ctrl-C is watched already
            from roman_moe.nodes.teleop.demo_recorder import DemoRecorder
            from roman_moe.nodes.teleop.teleop import Teleop

            device = None if self.device == NONE else open_device(keys, self.device, self.device_file, spec)
            events: list[OperatorEvent] = []

            def look(graph: Graph) -> None:
                if self.device != KEYBOARD:  # which the node reads
                    events.extend(EVENTS[key] for key in keys.obey(graph, REARM) if key in EVENTS)

            given = {
                "bundle": str(find_shipped(self._bundle)) if self._policy or not self.task else "",
                "task": self.task,
            }
            teleop = {"device": self.device, "drives": self.intervene is None, "gate": self.skill == GATE}
            with running_graph(
                specs, private=self.private, on_spin=look, ros_arguments=(*self.ros_arguments, *QUIET)
            ) as graph:
                remaps = specs[0].remaps
                recorder = graph.add(
                    lambda context: DemoRecorder(
                        context=context, parameters={**given, **self._recorder_parameters()}, remaps=remaps
                    )
                )
                if device is not None:
                    graph.add(
                        lambda context: Teleop(
                            device=device,
                            on_event=events.append,
                            context=context,
                            parameters={**given, **teleop},
                            remaps=remaps,
                        )
                    )
                    view.say(device.help)
                view.say(f"{KEYS_HINT}; {HINT}" if keys.there or device is not None else NO_KEYS_HINT)
                while recorder.kept < self.episodes and OperatorEvent.QUIT not in events:
                    while events:
                        self._handle(graph, recorder, events.pop(0))
                    graph.spin_until(lambda: bool(events), REDRAW)
                    while recorder.told:
                        view.say(recorder.told.pop(0))
                    episodes.show(graph)
                    if recorder.fault:
                        raise DemonstrationError(recorder.fault)
                graph.spin_until(lambda: False, REDRAW)  # whoever stopped the last one gets an answer
                return recorder.kept

    def _recorder_parameters(self) -> dict[str, Any]:
        return {
            "teach": self.skill,
            "demos": str(self.out.resolve()),
            "source": "operator" if self.device == NONE else self.device,
            "policy": self._policy,
            "corrects": self.intervene is not None,
            "reliable": self.arm == LAB,
            **{name: getattr(self, name) for name in ("images", "least_rate", "name", "notes", "operator")},
        }

    def _handle(self, graph: Graph, recorder: DemoRecorder, event: OperatorEvent) -> None:
        """What the operator does to the open episode."""
        if event is OperatorEvent.NEXT and not recorder.recording and self.arm == LAB:
            graph.trigger("lab", "restart")  # a recorder that is quicker begins again with it
        if event is OperatorEvent.NEXT:
            graph.trigger(RECORDER, "stop" if recorder.recording else "start")
        elif event is OperatorEvent.AGAIN:
            graph.trigger(RECORDER, "discard")

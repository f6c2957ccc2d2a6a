"""`roman-moe teleop`: drives an arm by hand, through the guard, and takes over from a running policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from roman_moe.cli.episodes import Episodes
from roman_moe.cli.keys import Keys
from roman_moe.cli.options import SILENT, Flag, check_choice
from roman_moe.cli.ros_args import QUIET
from roman_moe.cli.run import REDRAW, Run
from roman_moe.control.manifest import task_of_bundle
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import find_shipped
from roman_moe.report.live import LiveView
from roman_moe.teleop.device import Device, OperatorEvent
from roman_moe.teleop.keyboard import Keyboard

if TYPE_CHECKING:
    from roman_moe.core.spec import TaskSpec
    from roman_moe.nodes.bringup.graph import NodeSpec

KEYBOARD = "keyboard"
DEVICES: Mapping[str, str] = {
    KEYBOARD: "of this terminal",
    "gamepad": "of /dev/input/js*",
    "spacemouse": "of /dev/hidraw*",
    "joy": "of a node that publishes sensor_msgs/Joy",
}


@dataclass(frozen=True)
class Teleop(Run):
    """Drive an arm by hand; take over from a policy, and hand back."""

    device: Annotated[str, tyro.conf.arg(metavar="{keyboard,gamepad,spacemouse,joy}")] = KEYBOARD
    """The device: keyboard (this terminal's), gamepad, spacemouse, or joy (sensor_msgs/Joy of another node)."""

    device_file: Annotated[str, tyro.conf.arg(metavar="FILE", help_behavior_hint=SILENT)] = ""
    """Its file, such as /dev/input/js1; of joy, a parameter file of teleop_twist_joy."""

    alone: Flag = False
    """Run no policy: the operator drives from the beginning."""

    join: Flag = False
    """Join a running graph, started by `roman-moe run`."""

    def main(self) -> int:
        """Runs until Ctrl-C, which is exit code 130, or until the operator quits, which is 0."""
        check_device(self.device, self.device_file, DEVICES)
        if self.alone and self.join:
            raise ConfigError("--alone, --join: expected one of them: the graph that runs has its policy, or none")
        return super().main()

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), "policy": not self.alone}

    def _run(self, specs: Sequence[NodeSpec], view: LiveView, episodes: Episodes) -> None:
        with Keys() as keys:
            from roman_moe.nodes.bringup.bringup import running_graph  # takes seconds: Ctrl-C is watched already
            from roman_moe.nodes.teleop.teleop import Teleop as TeleopNode

            device = open_device(keys, self.device, self.device_file, task_of_bundle(self.bundle, self.task))
            events: list[OperatorEvent] = []
            given = {"bundle": str(find_shipped(self.bundle)), "device": self.device, "drives": self.alone}
            with running_graph(
                () if self.join else specs,
                separate=self.separate,
                private=False,
                respawn=self.separate,
                ros_arguments=(*self.ros_arguments, *QUIET),
            ) as graph:
                graph.add(
                    lambda context: TeleopNode(
                        device=device, on_event=events.append, context=context, parameters=given, remaps=specs[0].remaps
                    )
                )
                view.say(device.help)
                view.say("software stop, no safety-rated emergency stop; q or Ctrl-C ends it")
                while OperatorEvent.QUIT not in events:
                    graph.spin_until(lambda: OperatorEvent.QUIT in events, REDRAW)
                    episodes.show(graph)


def check_device(device: str, file: str, devices: Mapping[str, str]) -> None:
    """Refuse what --device and --device-file cannot give.

    Raises:
        ConfigError: naming the option.
    """
    check_choice("--device", device, devices)
    if file and device not in DEVICES.keys() - {KEYBOARD}:
        raise ConfigError("--device-file: this --device reads no file: leave it out")


def open_device(keys: Keys, device: str, file: str, spec: TaskSpec) -> Device:
    """The device of that name.

    Raises:
        ConfigError: if there is no keyboard.
        DeviceError: if it cannot be used.
    """
    if device == KEYBOARD:
        if not keys.there:
            raise ConfigError("--device keyboard: standard input is no terminal: expected one, or --device gamepad")
        return Keyboard(keys.pressed)
    from roman_moe.nodes.teleop.teleop import open_device

    return open_device(device, file, spec)

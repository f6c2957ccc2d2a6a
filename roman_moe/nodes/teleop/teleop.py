"""Teleop: an operator's device drives the arm through the blender.

While the operator drives, the node answers each scene: with an action or, when the operator teaches the gate, with
weights. One answer of NaN hands back. Stop and re-arm call the services of all commanders at once. A stop is requested
again until each service has answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.client import Client
from std_srvs.srv import Trigger

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec
from roman_moe.nodes.base.diagnostics import ERROR, OK, WAITING, WARN
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, parameter
from roman_moe.nodes.base.topics import JOY, OPERATOR_ACTION, OPERATOR_WEIGHTS, SCENE, TICK, action_of, weights_of
from roman_moe.nodes.bringup.graph_client import ASK_AGAIN, BLENDER, COMMANDERS, Calls
from roman_moe.nodes.control.observation import Observation, observations
from roman_moe.teleop.device import Device, OperatorEvent, OperatorInput
from roman_moe.teleop.gamepad import Gamepad
from roman_moe.teleop.joy import JoyMapping, Joystick, load_joy_mapping
from roman_moe.teleop.spacemouse import SpaceMouse, find_space_mouse
from roman_moe.teleop.steering import Steering
from roman_moe.wire.codec import BlenderTick, decode_tick

PERIOD = 0.01  # [s] between two looks at the device
FIRST_GAMEPAD = "/dev/input/js0"
DRIVES = "drives"
"""Fact: whether the operator drives."""
ASKED = {OperatorEvent.STOP: "stop", OperatorEvent.REARM: "rearm"}
"""What those that command the arm are asked to do."""


def open_device(name: str, file: str, spec: TaskSpec) -> Device:
    """An input device by its name.

    Args:
        name: gamepad, spacemouse or joy.
        file: of the device; of joy, a parameter file of teleop_twist_joy. The first one, or its default, if "".

    Raises:
        DeviceError: if it cannot be used.
        ConfigError: if there is none of that name, or a parameter file is wrong.
    """
    if name == "joy":
        return Joystick(spec, load_joy_mapping(Path(file)) if file else JoyMapping())
    if name == "gamepad":
        return Gamepad(Path(file or FIRST_GAMEPAD))
    if name == "spacemouse":
        return SpaceMouse(Path(file) if file else find_space_mouse())
    raise ConfigError(f"device {name!r}: expected gamepad, spacemouse or joy; a keyboard needs `roman-moe teleop`")


@dataclass(frozen=True)
class TeleopParameters(TaskParameters):
    """Parameters of teleop."""

    device: str = parameter("gamepad, spacemouse, or joy: sensor_msgs/Joy of another node", "gamepad")
    device_file: str = parameter(
        "file of the device, such as /dev/input/js1, or joy's parameter file", "", shipped=True
    )
    drives: bool = parameter("whether the operator drives from the beginning", False)
    gate: bool = parameter("whether the operator gives weights, with the keys 1 to 9, instead of actions", False)


class Teleop(RomanNode):
    """Turns a device's motions into `operator/action` or `operator/weights`.

    Args:
        device: that is open already; the one that the parameters name if None.
        on_event: called with each event that is not the arm's own, such as `OperatorEvent.NEXT`.
    """

    NAME = "teleop"
    PARAMETERS = TeleopParameters
    _settings: TeleopParameters
    _device: Device | None = None

    def __init__(
        self,
        name: str | None = None,
        device: Device | None = None,
        on_event: Callable[[OperatorEvent], object] = lambda event: None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self._given, self._on_event = device, on_event
        self._triggers: dict[OperatorEvent, dict[str, Client[Any, Any]]] = {
            event: {node: self.create_client(Trigger, f"{node}/{service}") for node in COMMANDERS}
            for event, service in ASKED.items()
        }
        self._stopping: Calls | None = None  # that has not been answered yet
        self._stopped_at = 0.0  # [s]

    def configure(self) -> None:
        settings = self._settings
        self._spec = settings.spec()
        self._steering = Steering(self._spec, settings.drives, whole_speed=settings.device == "joy")
        self._opening = self._spec.gripper.open
        self._device = self._given or open_device(settings.device, settings.device_file, self._spec)

    def clean_up(self) -> None:
        if self._device is not None:
            self._device.close()
        self._device = None

    def activate(self) -> None:
        spec = self._spec
        self._input = OperatorInput()
        self._drove = False
        if self._settings.gate:
            self._publish = self.advertise_numbers(OPERATOR_WEIGHTS, weights_of(spec.skill_names))
            self._size = len(spec.skills)
        else:
            self._publish = self.advertise_numbers(OPERATOR_ACTION, action_of(spec))
            self._size = spec.action.size
        device = self._device
        if isinstance(device, Joystick):
            self.listen(JOY, lambda joy: device.take(joy.axes, joy.buttons, time.monotonic()))
        self.timer(PERIOD, self._look)
        self.listen(TICK, self._on_tick, decode_tick)
        self.listen(SCENE, self._on_scene, observations(spec), serialized=True)
        self.diagnostics.state(WARN, f"{WAITING}scene")

    def deactivate(self) -> None:
        """Hand back: whoever falls silent while driving leaves the arm at rest instead."""
        if self._drove:
            self._publish(self._stamp + 1, [float("nan")] * self._size)

    def _look(self) -> None:
        """See what the operator does; what is to be done at once is done."""
        device = self._device
        if device is None:  # closed, and a timer was under way
            return
        given = self._input = device.read(time.monotonic())
        self._steering.take(given.events, given.skills, self._opening)
        for event in given.events:
            if event in ASKED:
                self._ask(event)
            else:
                self._on_event(event)
        drives = self._steering.drives
        self.diagnostics.fact({DRIVES: str(drives)})
        fault = self._unanswered() or device.fault
        if fault:
            self.diagnostics.state(ERROR, fault)
        else:
            speed = f"speed {100 * self._steering.speed:.0f} %"
            self.diagnostics.state(OK, f"{'the operator' if drives else 'the policy'} drives, {speed}")

    def _ask(self, event: OperatorEvent) -> None:
        calls = Calls(self._triggers[event])
        calls.made()
        self._stopping, self._stopped_at = calls if event is OperatorEvent.STOP else None, time.monotonic()

    def _unanswered(self) -> str:
        """Ask again for a stop that somebody has not answered; who, once that takes long."""
        if self._stopping is None:
            return ""
        silent = [node for node in sorted({BLENDER, *self._stopping.made()}) if self._stopping.answer(node) is None]
        if not silent:
            self._stopping = None
        late = silent and time.monotonic() - self._stopped_at > ASK_AGAIN
        return f"stop: no answer from {', '.join(silent)}: use the arm's own stop" if late else ""

    def _on_tick(self, tick: BlenderTick) -> None:
        self._opening = tick.command.gripper_opening

    def _on_scene(self, seen: Observation) -> None:
        self._look()  # what was pressed a moment ago counts for this scene
        answer, self._stamp = self._answer(), seen.scene.stamp_ns
        if answer is not None or self._drove:
            self._drove = answer is not None
            self._publish(self._stamp, answer or [float("nan")] * self._size)

    def _answer(self) -> list[float] | None:
        """What the operator answers a scene; None if the policy drives."""
        if not self._steering.drives:
            return None
        if self._settings.gate:
            weights = self._steering.weights
            return None if weights is None else weights.tolist()
        return self._steering.action(self._input).tolist()

"""A joystick that another node reads: sensor_msgs/Joy, by the parameters of teleop_twist_joy, whose files are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec
from roman_moe.teleop.device import AXES, Device, OperatorEvent, OperatorInput

SILENCE = 0.5
"""After which a joystick that says nothing counts as released [s]: joy_node repeats what it says 20 times a second."""
NONE = -1


@dataclass(frozen=True)
class Linear:
    """Numbers of axes, or their scales."""

    x: float = NONE
    y: float = NONE
    z: float = NONE


@dataclass(frozen=True)
class Angular:
    """Likewise, of turns."""

    roll: float = NONE
    pitch: float = NONE
    yaw: float = NONE


@dataclass(frozen=True)
class JoyMapping:
    """What a joystick's axes and buttons mean: teleop_twist_joy's parameters, and buttons of ours. -1 is none.

    Attributes:
        axis_linear: numbers of the axes that move the hand.
        scale_linear: at full deflection [m/s].
        scale_linear_turbo: likewise, while the turbo button is held [m/s].
        axis_angular: numbers of the axes that turn it.
        scale_angular: at full deflection [rad/s].
        scale_angular_turbo: likewise, while the turbo button is held [rad/s].
        require_enable_button: whether nothing moves unless a button is held; it always has to be here.
        enable_button: that button, the dead-man.
        enable_turbo_button: a faster one.
        inverted_reverse: of mobile robots; not used here.
        gripper_button: opens and closes the gripper.
        take_over_button: takes over from the policy.
        hand_back_button: hands back.
        stop_button: the software stop.
        rearm_button: ends it.
    """

    axis_linear: Linear = Linear(x=1, y=0, z=4)
    scale_linear: Linear = Linear(x=0.15, y=0.15, z=0.15)
    scale_linear_turbo: Linear = Linear(x=0.3, y=0.3, z=0.3)
    axis_angular: Angular = Angular(yaw=3)
    scale_angular: Angular = Angular(roll=0.5, pitch=0.5, yaw=0.5)
    scale_angular_turbo: Angular = Angular(roll=1.0, pitch=1.0, yaw=1.0)
    require_enable_button: bool = True
    enable_button: int = 4
    enable_turbo_button: int = 5
    inverted_reverse: bool = False
    gripper_button: int = 0
    take_over_button: int = 2
    hand_back_button: int = 3
    stop_button: int = 1
    rearm_button: int = 7

    def __post_init__(self) -> None:
        if not self.require_enable_button:
            raise ValueError("require_enable_button is false: expected true: an arm moves only while a button is held")

    @property
    def events(self) -> dict[int, OperatorEvent]:
        """What buttons do, by number."""
        buttons = {
            self.gripper_button: OperatorEvent.GRIPPER,
            self.take_over_button: OperatorEvent.TAKE_OVER,
            self.hand_back_button: OperatorEvent.HAND_BACK,
            self.stop_button: OperatorEvent.STOP,
            self.rearm_button: OperatorEvent.REARM,
        }
        return {number: event for number, event in buttons.items() if number != NONE}


def load_joy_mapping(path: Path) -> JoyMapping:
    """A parameter file of teleop_twist_joy.

    Raises:
        ConfigError: naming file and key.
    """
    content: Any = read_yaml(path, ConfigError)
    for _ in range(2):  # node's name, then ros__parameters
        if isinstance(content, dict) and len(content) == 1:
            (content,) = content.values()
    return build(JoyMapping, content, str(path), ConfigError)


@dataclass
class Joystick(Device):
    """A joystick as an input device: whoever subscribes gives it the messages.

    Attributes:
        spec: of the task, whose top speeds scales are measured by.
        fault: why it gives nothing at present; empty if it works.
    """

    spec: TaskSpec
    mapping: JoyMapping = field(default_factory=JoyMapping)
    fault: str = "no joystick has said anything"

    help = "the joystick of the topic joy: hold its dead-man button to move"

    def __post_init__(self) -> None:
        self._axes: list[float] = []
        self._buttons: list[bool] = []
        self._events: list[OperatorEvent] = []
        self._heard = -np.inf

    def take(self, axes: Sequence[float], buttons: Sequence[int], now: float) -> None:
        """Take a message: deflections, -1 to 1, and which buttons are down."""
        first = not self._buttons
        before, self._buttons = self._buttons, [bool(each) for each in buttons]
        self._axes, self._heard = list(axes), now
        if not first:
            self._events += [event for i, event in self.mapping.events.items() if self._down(i) and not _at(before, i)]

    def read(self, now: float) -> OperatorInput:
        events, self._events = tuple(self._events), []
        silent = now - self._heard > SILENCE
        self.fault = "the joystick says nothing: is joy_node running?" if silent else ""
        mapping, action = self.mapping, self.spec.action
        turbo = self._down(mapping.enable_turbo_button)
        held = (turbo or self._down(mapping.enable_button)) and not silent
        shares = np.zeros(AXES)
        if held:
            linear = mapping.scale_linear_turbo if turbo else mapping.scale_linear
            angular = mapping.scale_angular_turbo if turbo else mapping.scale_angular
            shares[:3] = self._moved(mapping.axis_linear, linear) / action.top_speed
            if action.angular:
                shares[3:] = self._moved(mapping.axis_angular, angular) / action.top_angular_speed
        return OperatorInput(np.clip(shares, -1.0, 1.0), held, events)

    def _moved(self, axes: Linear | Angular, scales: Linear | Angular) -> np.ndarray:
        numbers, factors = vars(axes).values(), vars(scales).values()
        return np.array(
            [
                scale * self._axes[int(i)] if 0 <= i < len(self._axes) else 0.0
                for i, scale in zip(numbers, factors, strict=True)
            ]
        )

    def _down(self, button: int) -> bool:
        return _at(self._buttons, button)


def _at(buttons: Sequence[bool], number: int) -> bool:
    return 0 <= number < len(buttons) and buttons[number]

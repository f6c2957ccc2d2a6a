"""A joystick by sensor_msgs/Joy and teleop_twist_joy's parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from specs import ROMAN

from roman_moe.core.errors import ConfigError
from roman_moe.core.tasks import load_spec
from roman_moe.teleop.device import OperatorEvent
from roman_moe.teleop.joy import SILENCE, JoyMapping, Joystick, load_joy_mapping

TOP = ROMAN.action.top_speed
XBOX = """
teleop_twist_joy_node:
  ros__parameters:
    axis_linear: {x: 1, y: 0}
    scale_linear: {x: 0.07, y: 0.035}
    scale_linear_turbo: {x: 100.0}
    axis_angular: {yaw: 2}
    scale_angular: {yaw: 0.4}
    enable_button: 2
    enable_turbo_button: 5
    gripper_button: 0
"""


def buttons(*down: int) -> list[int]:
    return [int(i in down) for i in range(8)]


def test_a_file_of_teleop_twist_joy_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "xbox.config.yaml"
    file.write_text(XBOX)
    joystick = Joystick(load_spec("kitting"), load_joy_mapping(file))
    action = joystick.spec.action
    joystick.take([0.5, 1.0, -1.0, 0.0], buttons(2), 0.0)
    given = joystick.read(0.0)
    expected = [0.07 / action.top_speed, 0.5 * 0.035 / action.top_speed, 0, 0, 0, -0.4 / action.top_angular_speed]
    np.testing.assert_allclose(given.axes, expected)
    joystick.take([0.5, 1.0, -1.0, 0.0], buttons(5), 0.1)
    assert joystick.read(0.1).axes[0] == 1.0, "never faster than the task's top speed"


def test_nothing_moves_unless_a_button_is_held_and_the_joystick_speaks() -> None:
    joystick = Joystick(ROMAN)
    assert not joystick.read(0.0).held
    assert "joy_node" in joystick.fault
    joystick.take([0.0, 1.0], buttons(), 0.0)
    assert not joystick.read(0.0).held
    joystick.take([0.0, 1.0], buttons(4), 0.1)
    given = joystick.read(0.1)
    assert given.axes[0] == pytest.approx(min(1.0, 0.15 / TOP))
    assert not given.axes[3:].any(), "a task without turns"
    assert joystick.fault == ""
    assert not joystick.read(0.1 + 1.1 * SILENCE).held


def test_buttons_act_once_when_they_go_down_and_not_when_they_were_down_at_first() -> None:
    joystick = Joystick(ROMAN)
    joystick.take([], buttons(0), 0.0)
    joystick.take([], buttons(0), 0.1)
    assert joystick.read(0.1).events == ()
    joystick.take([], buttons(), 0.2)
    joystick.take([], buttons(0, 1, 2), 0.3)
    joystick.take([], buttons(0, 1, 2, 3, 7), 0.4)
    assert joystick.read(0.4).events == (
        OperatorEvent.GRIPPER,
        OperatorEvent.TAKE_OVER,
        OperatorEvent.STOP,
        OperatorEvent.HAND_BACK,
        OperatorEvent.REARM,
    )


@pytest.mark.parametrize("axes", [[], [0.3]])
def test_a_joystick_with_fewer_axes_moves_those_that_it_has(axes: list[float]) -> None:
    joystick = Joystick(ROMAN)
    joystick.take(axes, buttons(4), 0.0)
    assert np.count_nonzero(joystick.read(0.0).axes) == len(axes)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("require_enable_button: false", "require_enable_button is false: expected true"),
        ("axis_linar: {x: 1}", "did you mean 'axis_linear'"),
        ("axis_linear: {x: one}", "axis_linear: x is 'one': expected a number"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "joy.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    {text}\n    enable_button: 1\n")
    with pytest.raises(ConfigError, match=complaint):
        load_joy_mapping(file)


def test_without_a_file_an_xbox_pad_is_taken_for_granted() -> None:
    assert JoyMapping().events[1] is OperatorEvent.STOP

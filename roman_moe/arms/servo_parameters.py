"""What MoveIt Servo's own parameters say of the twists that it takes, and whether an arm's file agrees.

Servo's node declares them as `moveit_servo.NAME` on every branch from humble to main; docs/arms.md names the files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roman_moe.arms.config import TwistConfig

PREFIX = "moveit_servo."
NAMES = ("command_in_type", "scale.linear", "scale.rotational", "incoming_command_timeout")
SINCE_JAZZY = ("apply_twist_commands_about_ee_frame",)
"""Asked for apart: rclcpp answers with no value at all if one of the names is not declared."""

LONGEST_TIMEOUT = 0.25  # [s] for which Servo may go on after the bridge has been killed: 9 cm at 0.35 m/s
_EQUAL = 1e-6


@dataclass(frozen=True)
class ServoParameters:
    """Of the running node.

    Attributes:
        command_in_type: "speed_units" or "unitless".
        scale: scale.linear: of unitless twists, and since Jazzy the highest speed in speed_units [m/s].
        rotational: scale.rotational: likewise for turning [rad/s].
        timeout: incoming_command_timeout [s].
        about_hand: apply_twist_commands_about_ee_frame; without it Servo turns the hand instead of moving it.
    """

    command_in_type: str
    scale: float
    rotational: float
    timeout: float
    about_hand: bool = True


def servo_parameters(values: Sequence[Any], since_jazzy: Sequence[Any]) -> ServoParameters | None:
    """Of rcl_interfaces/ParameterValue for `NAMES` and `SINCE_JAZZY`; None if `NAMES` are not all there."""
    if len(values) != len(NAMES) or not values[0].string_value:
        return None
    kind, scale, rotational, timeout = values
    about_hand = bool(since_jazzy[0].bool_value) if since_jazzy and since_jazzy[0].type else True
    linear, turning, waits = scale.double_value, rotational.double_value, timeout.double_value
    return ServoParameters(kind.string_value, linear, turning, waits, about_hand)


def mismatch(found: ServoParameters, twist: TwistConfig, speed: float, angular_speed: float) -> str:
    """Why the hand would not move as the guard allows; empty if it would.

    Args:
        speed: highest that the guard lets through [m/s].
        angular_speed: highest that the task and the keeping of the orientation need [rad/s].
    """
    if found.command_in_type != twist.command_in_type:
        return (
            f"command_in_type is {found.command_in_type!r} (scale.linear {found.scale}), the arm's file says "
            f"{twist.command_in_type!r} (scale {twist.scale}): write there what Servo has"
        )
    for name, theirs, key, ours in (
        ("linear", found.scale, "scale", twist.scale),
        ("rotational", found.rotational, "rotational_scale", twist.rotational_scale),
    ):
        if found.command_in_type == "unitless" and not math.isclose(theirs, ours, rel_tol=_EQUAL):
            return f"scale.{name} is {theirs}, the arm's file says {key} {ours}: write there what Servo has"
    if found.scale < speed:
        return f"scale.linear {found.scale} m/s is below the guard's speed of {speed} m/s: raise it, or lower the speed"
    if found.rotational < angular_speed:
        return (
            f"scale.rotational {found.rotational} rad/s is below the {angular_speed:.3g} rad/s that the hand turns at: "
            "raise it, or lower rotational_scale in the arm's file to it"
        )
    least = 2.0 / twist.rate
    if not least <= found.timeout <= LONGEST_TIMEOUT:
        return (
            f"incoming_command_timeout is {found.timeout} s: expected {least:.3g} to {LONGEST_TIMEOUT} s, such as 0.1"
        )
    if not found.about_hand:
        return "apply_twist_commands_about_ee_frame is false: Servo would turn the hand instead of moving it"
    return ""

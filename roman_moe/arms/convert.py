"""From the graph's units to a robot's and back: pure arithmetic on numbers, in the base frame unless said otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.config import ArmConfig, FingersConfig, GripperConfig, PoseConfig, TwistConfig
from roman_moe.arms.kept_orientation import HandPose
from roman_moe.core.rotation import Quaternion, inverse, product, rotate, unit


def twist_numbers(twist: Sequence[float], config: TwistConfig) -> list[float]:
    """What to write into Servo's twist.

    Servo drops a whole command if a unitless component is beyond 1. A velocity too large for its scale is therefore
    shortened and keeps its direction, the linear and the angular one each for itself.

    Args:
        twist: linear and angular velocity, (6,) [m/s, rad/s].

    Returns:
        Six numbers, in m/s and rad/s, or unitless.
    """
    if config.command_in_type == "speed_units":
        return [float(v) for v in twist]
    return [*_unitless(twist[:3], config.scale), *_unitless(twist[3:], config.rotational_scale)]


def _unitless(velocity: Sequence[float], scale: float) -> list[float]:
    numbers = [float(v) / scale for v in velocity]
    largest = max(map(abs, numbers))
    return [n / largest for n in numbers] if largest > 1.0 else numbers


def tip_twist(twist: NDArray[np.float64], hand: Quaternion, config: ArmConfig) -> NDArray[np.float64]:
    """The twist at the tip of Servo's planning group, (6,), for one at the point between the fingertips.

    .. math:: v_{tip} = v + \\omega \\times (p_{tip} - p)

    Args:
        twist: linear and angular velocity, (6,) [m/s, rad/s].
        hand: orientation of the hand, (4,).
    """
    angular = twist[3:]
    if not angular.any():
        return twist
    pose = product(hand, inverse(np.array(config.pose.tool_orientation)))
    lever = -rotate(pose, np.array(config.twist.tip_offset))
    return np.concatenate([twist[:3] + np.cross(angular, lever), angular])


def hand_pose(position: Sequence[float], quaternion: Sequence[float], config: PoseConfig) -> HandPose:
    """The hand's pose, of the pose that a robot publishes.

    .. math:: p = p_{pose} + R(q)\\, t

    Args:
        position: of the pose, (3,) [m].
        quaternion: of the pose, x, y, z, w, near unit length.
        config: says t, the tool's offset, and the hand's orientation in the pose's own frame.

    Raises:
        ValueError: if the quaternion is none.
    """
    pose = unit(np.asarray(quaternion, dtype=np.float64))
    offset = rotate(pose, np.array(config.tool_offset))
    orientation = product(pose, np.array(config.tool_orientation))
    return HandPose(np.asarray(position, dtype=np.float64) + offset, orientation)


def finger_opening(positions: Mapping[str, float], config: FingersConfig) -> float:
    """Distance between the pads [m] for positions of the finger joints by name."""
    return config.offset + sum(factor * positions[name] for name, factor in config.joints.items())


def gripper_position(opening: float, config: GripperConfig) -> float:
    """Position of a gripper's joint, in its own unit, for a wanted opening [m]."""
    return config.offset + config.scale * reachable(opening, config)


def reachable(opening: float, config: GripperConfig) -> float:
    """The opening that a gripper can be commanded to [m], nearest to a wanted one."""
    return min(max(opening, 0.0), config.largest_opening)

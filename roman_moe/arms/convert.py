"""From the graph's units to a robot's and back: pure arithmetic on numbers, in the base frame unless said otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.config import FingersConfig, GripperConfig, TwistConfig

UNIT_TOLERANCE = 1e-2
"""By which a quaternion's norm may differ from 1: drivers send what they measure."""


def twist_numbers(velocity: Sequence[float], config: TwistConfig) -> list[float]:
    """What to write into Servo's twist for a linear velocity.

    A unitless component beyond 1 makes Servo drop the whole command, so that a velocity too large for the scale is
    shortened, its direction kept.

    Args:
        velocity: of the hand, (3,) [m/s].

    Returns:
        Three numbers, in m/s or unitless.
    """
    if config.command_in_type == "speed_units":
        return [float(v) for v in velocity]
    numbers = [float(v) / config.scale for v in velocity]
    largest = max(map(abs, numbers))
    return [n / largest for n in numbers] if largest > 1.0 else numbers


def tool_position(
    position: Sequence[float], quaternion: Sequence[float], tool_offset: Sequence[float]
) -> NDArray[np.float64]:
    """Position of the point between the fingertips, (3,) [m].

    .. math:: p = p_{pose} + R(q)\\, t

    Args:
        position: of the pose, (3,) [m].
        quaternion: of the pose, x, y, z, w, near unit length.
        tool_offset: t, in the pose's own frame, (3,) [m].

    Raises:
        ValueError: if the quaternion is none.
    """
    q = np.asarray(quaternion, dtype=np.float64)
    norm = float(np.sqrt(q @ q))
    if not abs(norm - 1.0) <= UNIT_TOLERANCE:
        raise ValueError(f"quaternion of norm {norm:.3g}: expected 1")
    axis, w = q[:3] / norm, q[3] / norm
    offset = np.asarray(tool_offset, dtype=np.float64)
    turned = offset + 2.0 * np.cross(axis, np.cross(axis, offset) + w * offset)
    return np.asarray(position, dtype=np.float64) + turned


def finger_opening(positions: Mapping[str, float], config: FingersConfig) -> float:
    """Distance between the pads [m] for positions of the finger joints by name."""
    return config.offset + sum(factor * positions[name] for name, factor in config.joints.items())


def gripper_position(opening: float, config: GripperConfig) -> float:
    """Position of a gripper's joint, in its own unit, for a wanted opening [m]."""
    return config.offset + config.scale * reachable(opening, config)


def reachable(opening: float, config: GripperConfig) -> float:
    """The opening that a gripper can be commanded to [m], nearest to a wanted one."""
    return min(max(opening, 0.0), config.largest_opening)

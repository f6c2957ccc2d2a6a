"""Action, a policy's answer, and Command, the message to an arm.

An *action* is a task's numbers in [-1, 1] (`spec.ActionSpec`). First come the hand velocity x, y, z in the base frame
and angular velocities about some of its axes, as fractions of the top speeds. The last number is the gripper (+1 open,
-1 close). A *command* is the same in SI units. Only `to_command` turns an action into a command. The simulation's
environments, the controller and the blender share it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import AT_REST

ACTION_BOUND = 1.001
"""Largest absolute value of an action's numbers. Float32 rounding stays far below, a wrong network far above."""


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """The command to an arm for one control tick.

    Attributes:
        stamp_ns: stamp of the scene that it answers [ns].
        linear_velocity: of the hand in the base frame, (3,) [m/s].
        gripper_opening: wanted distance between the pads [m].
        angular_velocity: of the hand about the base frame's axes, (3,) [rad/s].
    """

    stamp_ns: int
    linear_velocity: NDArray[np.float64]
    gripper_opening: float
    angular_velocity: NDArray[np.float64] = field(default_factory=lambda: AT_REST)

    def is_finite(self) -> bool:
        """Whether the command may be sent at all."""
        linear, angular = self.linear_velocity.tolist(), self.angular_velocity.tolist()
        return all(map(math.isfinite, (*linear, self.gripper_opening, *angular)))

    @property
    def twist(self) -> NDArray[np.float64]:
        """Linear and angular velocity, (6,) [m/s, rad/s]."""
        return np.concatenate([self.linear_velocity, self.angular_velocity])

    @property
    def moves(self) -> bool:
        return bool(self.linear_velocity.any() or self.turns)

    @property
    def turns(self) -> bool:
        return self.angular_velocity is not AT_REST and bool(self.angular_velocity.any())


def hold(stamp_ns: int, gripper_opening: float) -> Command:
    """The command that stands still and keeps the gripper's target [m]."""
    return Command(stamp_ns, np.zeros(3), gripper_opening)


def to_command(spec: TaskSpec, stamp_ns: int, action: NDArray[np.float64], previous_opening: float) -> Command:
    """Command for an action of shape (spec.action.size,); the gripper's last target is `previous_opening` [m].

    Raises:
        ValueError: if the action has another shape or is not finite; a bad action never becomes a command.
    """
    scale = spec.action
    action = np.asarray(action, dtype=np.float64)
    if action.shape != (scale.size,):
        raise ValueError(f"action has shape {action.shape}: expected ({scale.size},)")
    *motion, gripper = numbers = action.tolist()
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"action is not finite: {numbers}")
    motion = [min(max(share, -1.0), 1.0) for share in motion]
    linear = np.array([share * scale.top_speed for share in motion[:3]])
    opening = gripper_target(spec, gripper, previous_opening)
    if not scale.angular:
        return Command(stamp_ns, linear, opening)
    angular = np.zeros(3)
    angular[list(scale.angular_indices)] = [share * scale.top_angular_speed for share in motion[3:]]
    return Command(stamp_ns, linear, opening, angular)


def gripper_target(spec: TaskSpec, gripper_action: float, previous: float) -> float:
    """Wanted opening [m] for a gripper action, given the opening wanted before."""
    if gripper_action > spec.action.gripper_threshold:
        return spec.gripper.open
    if gripper_action < -spec.action.gripper_threshold:
        return spec.gripper.closed
    return previous

"""Action and Command: what a policy answers, and what is sent to an arm.

An *action* is 4 numbers in [-1, 1]: hand velocity x, y, z (base frame, fraction of the top speed) and gripper
(+1 open, -1 close). A *command* is the same in SI units: a linear velocity and a gripper opening. The one place that
turns an action into a command is `ActionScale`, shared by the lab's environments, the controller and the blender.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ACTION_LAYOUT: tuple[str, ...] = ("x", "y", "z", "gripper")
ACTION_SIZE = len(ACTION_LAYOUT)

ACTION_BOUND = 1.001
"""Largest absolute value of an action's numbers. Float32 rounding stays far below, a wrong network far above."""

TOP_SPEED = 0.20  # [m/s] of a full action; ROMAN's hand saturates at 0.133 m/s in a world 1/0.6 times larger
GRIPPER_OPEN = 0.08  # [m] Franka Hand data sheet: 80 mm between the pads
GRIPPER_CLOSED = 0.0  # [m]
GRIPPER_THRESHOLD = 0.5  # |gripper action| below which the gripper holds its target; ROMAN uses 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """What goes to an arm for one control tick.

    Attributes:
        stamp_ns: stamp of the scene that it answers [ns].
        linear_velocity: of the hand in the base frame, (3,) [m/s].
        gripper_opening: wanted distance between the pads [m].
    """

    stamp_ns: int
    linear_velocity: NDArray[np.float64]
    gripper_opening: float

    def is_finite(self) -> bool:
        """Whether the command may be sent at all."""
        return bool(np.isfinite(self.linear_velocity).all() and np.isfinite(self.gripper_opening))


@dataclass(frozen=True, slots=True)
class ActionScale:
    """Turns actions into commands.

    Attributes:
        top_speed: hand speed along one axis for an action of 1 [m/s].
        gripper_threshold: gripper actions within +-threshold hold the previous target.
    """

    top_speed: float = TOP_SPEED
    gripper_threshold: float = GRIPPER_THRESHOLD

    def gripper_target(self, gripper_action: float, previous: float) -> float:
        """Wanted opening [m] for a gripper action, given the opening wanted before."""
        if gripper_action > self.gripper_threshold:
            return GRIPPER_OPEN
        if gripper_action < -self.gripper_threshold:
            return GRIPPER_CLOSED
        return previous

    def command(self, stamp_ns: int, action: NDArray[np.float64], previous_opening: float) -> Command:
        """Command for an action of shape (4,).

        Raises:
            ValueError: if the action has another shape or is not finite; a bad action never becomes a command.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (ACTION_SIZE,):
            raise ValueError(f"action has shape {action.shape}: expected ({ACTION_SIZE},)")
        if not np.isfinite(action).all():
            raise ValueError(f"action is not finite: {action.tolist()}")
        velocity = np.clip(action[:3], -1.0, 1.0) * self.top_speed
        return Command(stamp_ns, velocity, self.gripper_target(float(action[3]), previous_opening))

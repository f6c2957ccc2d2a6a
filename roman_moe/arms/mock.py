"""A mock of an arm: it goes exactly where it is told, in an empty room, so that the graph can be tried by itself.

No physics: nothing is ever grasped, moved or pressed, and no task gets solved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command, hold
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import HandState, ObjectPoses, rotated, upright

GRIPPER_SPEED = 0.1  # [m/s] Franka Hand data sheet: 50 mm/s for each finger


class MockArm:
    """Integrates commanded velocities, from home with the gripper open."""

    def __init__(self, spec: TaskSpec, period_ns: int) -> None:
        """`period_ns`: from one command to the next [ns]."""
        self._spec = spec
        self._period_ns = period_ns
        self.stamp_ns = 0
        self._position: NDArray[np.float64] = np.array(spec.home.position)
        self._orientation: NDArray[np.float64] = np.array(spec.home.orientation)
        self._command = hold(0, spec.gripper.open)
        self._opening = spec.gripper.open
        below = (*spec.home.position[:2], 0.0)
        self._objects = np.array([each.position or below for each in spec.objects.values()])

    def step(self, command: Command) -> None:
        period = self._period_ns * 1e-9
        self.stamp_ns += self._period_ns
        self._command = command
        self._orientation = rotated(self._orientation, period * command.angular_velocity)
        self._position = self._position + period * command.linear_velocity
        way = period * GRIPPER_SPEED
        self._opening += float(np.clip(command.gripper_opening - self._opening, -way, way))

    @property
    def hand(self) -> HandState:
        """The hand's state: where it was told to be; nothing touches its fingers, and no flag is ever set."""
        return HandState(
            spec=self._spec,
            stamp_ns=self.stamp_ns,
            hand_position=self._position,
            hand_velocity=self._command.linear_velocity,
            finger_opening=self._opening,
            finger_forces=np.zeros(2),
            flags=np.zeros(len(self._spec.flags), dtype=bool),
            hand_orientation=self._orientation,
            hand_angular_velocity=self._command.angular_velocity,
        )

    @property
    def objects(self) -> ObjectPoses:
        """Poses of the objects, always the same."""
        count = len(self._objects)
        return ObjectPoses(self.stamp_ns, self._objects, np.ones(count, dtype=bool), np.zeros(count), upright(count))

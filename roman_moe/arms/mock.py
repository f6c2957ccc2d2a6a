"""A mock of an arm: it goes exactly where it is told, in an empty room, so that the graph can be tried by itself.

No physics: nothing is ever grasped, moved or pressed, and no task gets solved.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import GRIPPER_OPEN, Command
from roman_moe.core.bodies import HandState, ObjectPoses
from roman_moe.core.features import HOME_POSITION
from roman_moe.core.state import FLAGS, OBJECTS

GRIPPER_SPEED = 0.1  # [m/s] Franka Hand data sheet: 50 mm/s for each finger

NOMINAL_POSITIONS: Mapping[str, tuple[float, float, float]] = {
    "drawer_handle": (0.45, 0.2, 0.022),
    "cover": (0.45, 0.32, 0.014),
    "drop_zone": (0.45, 0.365, 0.052),
    "door_handle": (0.44, -0.102, 0.041),
    "rack": (0.362, -0.15, -0.031),
    "rack_target": (0.56, -0.12, -0.1),
    "vial": (0.405, 0.32, -0.058),
    "conveyor_end": (0.56, -0.291, -0.1),
    "button": (0.64, 0.08, -0.002),
}
"""Of the objects [m], as the lab's model (lab/assets/lab.xml) has them before anything is placed at random."""


class MockArm:
    """Integrates commanded velocities, from home with the gripper open.

    Attributes:
        stamp_ns: of its state [ns].
    """

    def __init__(self, period_ns: int) -> None:
        """`period_ns`: from one command to the next [ns]."""
        self._period_ns = period_ns
        self.stamp_ns = 0
        self._position: NDArray[np.float64] = np.array(HOME_POSITION)
        self._velocity = np.zeros(3)
        self._opening = GRIPPER_OPEN

    def step(self, command: Command) -> None:
        """Move for one period."""
        period = self._period_ns * 1e-9
        self.stamp_ns += self._period_ns
        self._velocity = command.linear_velocity
        self._position = self._position + period * command.linear_velocity
        way = period * GRIPPER_SPEED
        self._opening += float(np.clip(command.gripper_opening - self._opening, -way, way))

    @property
    def hand(self) -> HandState:
        """The hand's state: where it was told to be; nothing touches its fingers, and no flag is ever set."""
        flags = np.zeros(len(FLAGS), dtype=bool)
        return HandState(self.stamp_ns, self._position, self._velocity, self._opening, np.zeros(2), flags)

    @property
    def objects(self) -> ObjectPoses:
        """Poses of the objects, always the same."""
        positions = np.array([NOMINAL_POSITIONS[name] for name in OBJECTS])
        return ObjectPoses(self.stamp_ns, positions, np.ones(len(OBJECTS), dtype=bool), np.zeros(len(OBJECTS)))

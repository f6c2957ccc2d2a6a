"""Keeps the hand's orientation about the axes that a task's actions do not turn it about.

Servo integrates velocities, so that a hand which nobody turns drifts. The orientation that is kept is the one at which
commands began, and not home's: nothing then turns that nobody has commanded, however a robot's frames are described.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.rotation import inverse, product, rotation_vector, turn_about
from roman_moe.core.spec_parts import ActionSpec

GAIN = 1.0
"""[1/s] From the error to the angular velocity. A robot that is 0.2 s late leaves a phase margin of 77 degrees."""
CORRECTION_SPEED = 0.25
"""[rad/s] at most, below the least scale.rotational that is known: ur_servo.yaml's 0.3."""
MOVED_ON_PURPOSE = 0.1
"""[rad] by which a halted hand may turn and is still turned back; beyond, somebody has moved it: a jog, a hand."""


class HandPose(NamedTuple):
    """Of the point between the fingertips, in the base frame.

    Attributes:
        position: (3,) [m].
        orientation: (4,).
    """

    position: NDArray[np.float64]
    orientation: NDArray[np.float64]


def top_turning_speed(action: ActionSpec) -> float:
    """Highest angular speed that a task's actions and the keeping of the orientation ask for [rad/s]."""
    return max(CORRECTION_SPEED, action.top_angular_speed * math.sqrt(len(action.angular)))


class KeptOrientation:
    """Turns the hand back to the orientation at which commands began.

    Args:
        turns: components of the angular velocity that are commanded, some of 0, 1, 2: about these the hand is free.
    """

    def __init__(self, turns: Sequence[int]) -> None:
        self._turns = tuple(turns)
        self.reset()

    def reset(self) -> None:
        """The next commands begin from whatever orientation there is then."""
        self._kept: NDArray[np.float64] | None = None

    def resume(self, orientation: NDArray[np.float64]) -> None:
        """Commands begin, or go on after a halt."""
        if self._kept is None or float(np.linalg.norm(self._error(orientation))) > MOVED_ON_PURPOSE:
            self._kept = orientation

    def correction(self, orientation: NDArray[np.float64]) -> NDArray[np.float64]:
        """Angular velocity that turns the hand back, (3,) [rad/s]."""
        if self._kept is None:
            return np.zeros(3)
        wanted = -GAIN * self._error(orientation)
        speed = float(np.linalg.norm(wanted))
        return wanted if speed <= CORRECTION_SPEED else wanted * (CORRECTION_SPEED / speed)

    def _error(self, orientation: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much the hand is turned about the axes that are kept, (3,) [rad]."""
        assert self._kept is not None
        turned = product(orientation, inverse(self._kept))  # since then, about the base frame's axes
        kept = [axis for axis in range(3) if axis not in self._turns]
        if len(kept) == 2:
            turned = product(turned, inverse(turn_about(turned, self._turns[0])))
        elif len(kept) == 1:
            turned = turn_about(turned, kept[0])
        error = rotation_vector(turned)
        error[list(self._turns)] = 0.0
        return error

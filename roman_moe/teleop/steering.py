"""From an operator's inputs to a task's actions: speed, gripper, and who drives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec
from roman_moe.teleop.device import OperatorEvent, OperatorInput

SPEEDS = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
"""Shares of the top speeds that `FASTER` and `SLOWER` go through."""
FIRST_SPEED = 3


class Steering:
    """What an operator does to one arm.

    Attributes:
        drives: whether the operator drives, and not the policy.
        opens: whether the gripper is told to open.
    """

    def __init__(self, spec: TaskSpec, drives: bool = False, whole_speed: bool = False) -> None:
        """`whole_speed`: the device's own scales say how fast; it has no keys for the speed."""
        self._spec = spec
        self.drives = drives
        self.opens = True
        self._speed = len(SPEEDS) - 1 if whole_speed else FIRST_SPEED
        self._weights = np.zeros(len(spec.skills))

    @property
    def speed(self) -> float:
        """Share of the top speeds that a fully deflected axis gives."""
        return SPEEDS[self._speed]

    def take(self, events: Sequence[OperatorEvent], skills: Sequence[int], opening: float) -> None:
        """Take what the operator did.

        Args:
            events: in order.
            skills: that get the whole weight, in order, by number; those that there are not count for nothing.
            opening: what the gripper was last told [m]: whoever takes over drops nothing.
        """
        for event in events:
            if event is OperatorEvent.TAKE_OVER and not self.drives:
                self.drives = True
                gripper = self._spec.gripper
                self.opens = opening > 0.5 * (gripper.open + gripper.closed)
            elif event is OperatorEvent.HAND_BACK:
                self.drives = False
            elif event is OperatorEvent.GRIPPER and self.drives:
                self.opens = not self.opens
            elif event in (OperatorEvent.FASTER, OperatorEvent.SLOWER):
                self._speed = min(len(SPEEDS) - 1, max(0, self._speed + (1 if event is OperatorEvent.FASTER else -1)))
        for skill in skills:
            if skill < len(self._weights):
                self._weights = np.eye(len(self._weights))[skill]

    def action(self, given: OperatorInput) -> NDArray[np.float64]:
        """The action that the input comes to, (a,): at rest unless the dead-man is held."""
        axes = self.speed * given.axes if given.held else np.zeros_like(given.axes)
        turns = axes[3:][list(self._spec.action.angular_indices)]
        return np.array([*axes[:3], *turns, 1.0 if self.opens else -1.0])

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """The weights that the operator gives, (n,); None before the first one was chosen."""
        return self._weights if self._weights.any() else None

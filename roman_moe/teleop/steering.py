"""From an operator's wishes to a task's actions: speed, gripper, and who drives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec
from roman_moe.teleop.device import Act, Wish

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

    def take(self, acts: Sequence[Act], skills: Sequence[int], opening: float) -> None:
        """Take what the operator did.

        Args:
            acts: in order.
            skills: that get the whole weight, in order, by number; those that there are not count for nothing.
            opening: what the gripper was last told [m]: whoever takes over drops nothing.
        """
        for act in acts:
            if act is Act.TAKE_OVER and not self.drives:
                self.drives = True
                gripper = self._spec.gripper
                self.opens = opening > 0.5 * (gripper.open + gripper.closed)
            elif act is Act.HAND_BACK:
                self.drives = False
            elif act is Act.GRIPPER and self.drives:
                self.opens = not self.opens
            elif act in (Act.FASTER, Act.SLOWER):
                self._speed = min(len(SPEEDS) - 1, max(0, self._speed + (1 if act is Act.FASTER else -1)))
        for skill in skills:
            if skill < len(self._weights):
                self._weights = np.eye(len(self._weights))[skill]

    def action(self, wish: Wish) -> NDArray[np.float64]:
        """The action that the wish comes to, (a,): at rest unless the dead-man is held."""
        axes = self.speed * wish.axes if wish.held else np.zeros_like(wish.axes)
        turns = axes[3:][list(self._spec.action.angular_indices)]
        return np.array([*axes[:3], *turns, 1.0 if self.opens else -1.0])

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """The weights that the operator gives, (n,); None before the first one was chosen."""
        return self._weights if self._weights.any() else None

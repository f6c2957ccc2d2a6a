"""Push: push the block from the mark to the end of its lane with closed fingers."""

from __future__ import annotations

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.motions import CLOSE, POSITION_GAIN, approach, go_home, to_action
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World

BEHIND = 0.032  # [m] from the block's centre to the hand: half the block and half the closed fingers
TOLERANCE = 0.015  # [m] before the end


def remaining(state: SceneState) -> float:
    """Way left to the end [m]."""
    return float(state.position("block")[1] - state.position("end")[1])


class Push(SimSkill):
    """Push the block."""

    left_at = "block"

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        beyond = rng.uniform(0.0, 0.01)
        if when is When.DONE:
            world.put("block", world.site("end") + [0.0, -beyond, 0.0005])

    def achieved(self, world: World) -> bool:
        return remaining(world.state) < TOLERANCE

    def progress(self, state: SceneState) -> float:
        return min(max(1.0 - remaining(state) / 0.17, 0.0), 1.0)

    def reach_point(self, state: SceneState) -> Vector:
        return state.position("block") + [0.0, BEHIND, 0.0]

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, self._velocity(state), CLOSE)

    def _velocity(self, state: SceneState) -> Vector:
        hand, behind = state.hand_position, self.reach_point(state)
        if remaining(state) < 0.5 * TOLERANCE:
            return go_home(state)
        if abs(hand[0] - behind[0]) < 0.01 and hand[2] < behind[2] + 0.01 and -0.01 < hand[1] - behind[1] < 0.05:
            return np.array([POSITION_GAIN * (behind[0] - hand[0]), -0.1, POSITION_GAIN * (behind[2] - hand[2])])
        return approach(hand, behind + [0.0, 0.02, 0.0])

    def leads(self, state: SceneState) -> bool:
        return True

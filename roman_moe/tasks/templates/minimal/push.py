"""Push: how closed fingers push the block along its lane. Where that ends: task.yaml."""

from __future__ import annotations

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.motions import CLOSE, POSITION_GAIN, approach, go_home, to_action
from roman_moe.sim.task import SimSkill, Vector

BEHIND = 0.032  # [m] from the block's centre to the hand: half the block and half the closed fingers
FAR_ENOUGH = 0.0075  # [m] from the end


class Push(SimSkill):
    """Push the block."""

    def reach_point(self, state: SceneState) -> Vector:
        return state.position("block") + [0.0, BEHIND, 0.0]

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, self._velocity(state), CLOSE)

    def _velocity(self, state: SceneState) -> Vector:
        hand, behind = state.hand_position, self.reach_point(state)
        if state.position("block")[1] - state.position("end")[1] < FAR_ENOUGH:
            return go_home(state)
        if abs(hand[0] - behind[0]) < 0.01 and hand[2] < behind[2] + 0.01 and -0.01 < hand[1] - behind[1] < 0.05:
            return np.array([POSITION_GAIN * (behind[0] - hand[0]), -0.1, POSITION_GAIN * (behind[2] - hand[2])])
        return approach(hand, behind + [0.0, 0.02, 0.0])

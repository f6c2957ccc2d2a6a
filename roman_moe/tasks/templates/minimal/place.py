"""Place: how the block is picked up and put on the mark. Where it begins and when it is done: task.yaml."""

from __future__ import annotations

import math

from roman_moe.core.state import SceneState
from roman_moe.sim.motions import CLOSE, OPEN, POSITION_GAIN, approach, grasp, is_held, retreat, to_action
from roman_moe.sim.task import SimSkill, Vector


class Place(SimSkill):
    """Put the block on the mark."""

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, *self._motion(state))

    def _motion(self, state: SceneState) -> tuple[Vector, float]:
        """Velocity of the hand [m/s], and action of the gripper."""
        block, mark = state.position("block"), state.position("mark")
        if self.holds(state):
            return retreat(state)
        if not is_held(state, block):
            return grasp(state, block)
        velocity = approach(block, mark + [0.0, 0.0, 0.001], radius=0.006)
        velocity[:2] += 0.5 * POSITION_GAIN * (block - state.hand_position)[:2]
        is_there = math.dist(block[:2], mark[:2]) < 0.006 and block[2] < mark[2] + 0.003
        return velocity, OPEN if is_there else CLOSE

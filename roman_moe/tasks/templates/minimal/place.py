"""Place: pick the block up and put it on the mark."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.motions import CLOSE, OPEN, POSITION_GAIN, approach, grasp, is_beside, is_held, retreat, to_action
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World

REST = 0.0205  # [m] height of the block's centre on the table, with a gap
TOLERANCE = 0.015  # [m] from the mark, along the lane
LANE = 0.03  # [m] half the width in which the block counts as on the lane: a push may lead it astray a little
SPREAD = (0.05, 0.03)  # [m] half the range in which the block begins


def distance(state: SceneState) -> float:
    """From the mark, over the table [m]."""
    x, y, _ = state.position("block") - state.position("mark")
    return math.hypot(x, y)


def is_placed(state: SceneState) -> bool:
    """Whether the block stands on the mark, or has been pushed on from there."""
    x, y, z = state.position("block") - state.position("mark")
    return bool(abs(x) < LANE and y < TOLERANCE and z < 0.004)


class Place(SimSkill):
    """Put the block on the mark."""

    left_at = "block"

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        offset = rng.uniform(-1.0, 1.0, 2)
        if when is When.DONE:
            world.put("block", world.site("mark") + [*(0.008 * offset), REST - 0.02])
        else:
            world.put("block", np.array([0.45, 0.20, REST]) + [*(offset * SPREAD), 0.0])

    def achieved(self, world: World) -> bool:
        return is_placed(world.state)

    def progress(self, state: SceneState) -> float:
        return 1.0 if is_placed(state) else max(0.0, 1.0 - distance(state) / 0.2)

    def reach_point(self, state: SceneState) -> Vector:
        return state.position("block")

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, *self._motion(state))

    def _motion(self, state: SceneState) -> tuple[Vector, float]:
        block, mark = state.position("block"), state.position("mark")
        if is_placed(state):
            return retreat(state)
        if not is_held(state, block):
            return grasp(state, block)
        velocity = approach(block, mark + [0.0, 0.0, 0.001], radius=0.006)
        velocity[:2] += 0.5 * POSITION_GAIN * (block - state.hand_position)[:2]
        return velocity, OPEN if distance(state) < 0.006 and block[2] < mark[2] + 0.003 else CLOSE

    def leads(self, state: SceneState) -> bool:
        return not is_placed(state) or is_beside(state, state.position("block"), radius=0.02, height=0.10)

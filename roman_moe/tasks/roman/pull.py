"""Pull: open the drawer by its handle."""

from __future__ import annotations

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.disturbance import KnockOut
from roman_moe.sim.motions import CLOSE, POSITION_GAIN, grasp, is_beside, is_held, retreat, to_action
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import DRAWER_TRAVEL, drawer_opening

OPEN_SHARE = 0.95  # success
SHUT_SHARE = 0.7  # well between where it starts and where it ends: noise on a pose does not blur what the gate says


class Pull(SimSkill):
    """Open the drawer."""

    left_at = "drawer_handle"
    disturbances = (KnockOut(),)

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        share = rng.uniform(0.9, 1.0) if when is When.DONE else rng.uniform(0.0, 0.25)
        world.set_joint("drawer", share * DRAWER_TRAVEL)

    def achieved(self, world: World) -> bool:
        return world.joint("drawer") >= OPEN_SHARE * DRAWER_TRAVEL

    def progress(self, state: SceneState) -> float:
        return drawer_opening(state) / (OPEN_SHARE * DRAWER_TRAVEL)

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, *self._motion(state))

    def _motion(self, state: SceneState) -> tuple[Vector, float]:
        handle = state.position("drawer_handle")
        opening = drawer_opening(state)
        if opening > 0.975 * DRAWER_TRAVEL:
            return retreat(state)
        if not is_held(state, handle):
            return grasp(state, handle)
        offset = handle - state.hand_position
        speed = min(POSITION_GAIN * (DRAWER_TRAVEL - opening) + 0.01, self.spec.action.top_speed)
        return np.array([POSITION_GAIN * offset[0], -speed, POSITION_GAIN * offset[2]]), CLOSE

    def leads(self, state: SceneState) -> bool:
        return drawer_opening(state) < SHUT_SHARE * DRAWER_TRAVEL or is_beside(state, state.position("drawer_handle"))

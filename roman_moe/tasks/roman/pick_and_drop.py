"""Pick and drop: take the cover off the box and drop it on the drawer unit."""

from __future__ import annotations

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.disturbance import KnockOut
from roman_moe.sim.motions import CLOSE, POSITION_GAIN, approach, grasp, is_held, nearness, retreat, to_action
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import LEAVING_SIDE, LOW_ENOUGH, REST_GAP, SCALE, is_dropped

COVER_RANGE = (0.10 * SCALE, 0.05 * SCALE)  # [m] about the drop zone, x and y
HALF_HEIGHT = 0.003  # [m] of the cover's plate


class PickAndDrop(SimSkill):
    """Drop the cover."""

    left_at = "cover"
    disturbances = (KnockOut(),)

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        offset = rng.uniform(-1.0, 1.0, 2) * COVER_RANGE
        if when is When.DONE:
            world.put("cover", world.site("drop_zone") + np.array([*offset, HALF_HEIGHT + REST_GAP]))
        else:
            world.put("cover", world.site("cover_seat") + np.array([0.0, 0.0, HALF_HEIGHT + REST_GAP]))

    def achieved(self, world: World) -> bool:
        return world.touching("drop_zone", "cover")

    def progress(self, state: SceneState) -> float:
        if is_dropped(state, 0.003):
            return 1.0
        return nearness(state.position("cover") - state.position("drop_zone"), 0.026)

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, *self._motion(state))

    def _motion(self, state: SceneState) -> tuple[Vector, float]:
        cover, zone = state.position("cover"), state.position("drop_zone")
        if is_dropped(state):
            return retreat(state)
        if not is_held(state, cover):
            return grasp(state, cover)
        offset = cover - state.hand_position
        goal = np.array([zone[0], zone[1], zone[2] + 0.022])
        velocity = approach(cover, goal, floor=0.12, radius=0.01)
        velocity[:2] += POSITION_GAIN * 0.5 * offset[:2]
        return velocity, CLOSE

    def leads(self, state: SceneState) -> bool:
        return not is_dropped(state, LOW_ENOUGH) or bool(state.hand_position[1] > LEAVING_SIDE)

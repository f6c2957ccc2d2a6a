"""Pick and insert: take the vial from the drawer and insert it into the rack."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim import motions
from roman_moe.sim.disturbance import Disturbance, KnockOut, Ongoing, move_joint
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import DRAWER_TRAVEL, HOLES, SLOTS, drawer_opening, is_inserted, put_vial
from roman_moe.tasks.roman.push import ShoveRack

HOLE = np.array([0.017, 0.0209])  # of the rack that the demonstrator fills, from the rack's centre [m]
HALF = (0.35, 0.5)  # of its range that the drawer is left open
DRAWER_SPEED = 0.15  # [m/s]


class CloseDrawer(Disturbance):
    """Close the drawer half-way while the vial is still in it."""

    name = "close_drawer"
    whole_only = True

    def can_happen(self, world: World, state: SceneState, resting: dict[str, float]) -> bool:
        is_open = drawer_opening(state) > 0.9 * DRAWER_TRAVEL
        return is_open and not is_inserted(state) and bool(state.hand_position[1] < -0.02)

    def act(self, world: World, state: SceneState, rng: np.random.Generator) -> Ongoing:
        return move_joint(state, "drawer", rng.uniform(*HALF) * DRAWER_TRAVEL, DRAWER_SPEED)


class PickAndInsert(SimSkill):
    """Insert the vial."""

    left_at = "vial"
    disturbances = (KnockOut(), ShoveRack(), CloseDrawer())

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        slot, hole = int(rng.integers(SLOTS)), int(rng.integers(HOLES))
        put_vial(world, f"hole_{hole}" if when is When.DONE else f"slot_{slot}")

    def achieved(self, world: World) -> bool:
        return world.touching("rack_bottom", "vial")

    def progress(self, state: SceneState) -> float:
        if is_inserted(state):
            return 1.0
        offset = state.position("vial") - state.position("rack")
        offset[:2] -= HOLE
        return 0.8 * motions.nearness(offset, 0.0)

    def reach_point(self, state: SceneState) -> Vector:
        return state.position("vial") + [0.0, 0.0, 0.03]

    def demonstrate(self, state: SceneState) -> Vector:
        return motions.to_action(self.spec, *self._motion(state))

    def _motion(self, state: SceneState) -> tuple[Vector, float]:
        vial, rack = state.position("vial"), state.position("rack")
        if is_inserted(state):
            return motions.retreat(state)
        mouth = rack + [HOLE[0], HOLE[1], 0.002]
        offset = mouth - vial
        aligned = math.hypot(offset[0], offset[1]) < 0.005
        if aligned and vial[2] < mouth[2] + 0.004:
            return motions.POSITION_GAIN * np.array(
                [offset[0], offset[1], 0.0]
            ), motions.OPEN  # drop it the rest of the way
        point = vial + [0.0, 0.0, 0.030]
        if not motions.is_held(state, point, tolerance=0.03):
            return motions.grasp(state, point)
        return motions.approach(vial, mouth, floor=0.115, radius=0.003, slope=4.0), motions.CLOSE

    def leads(self, state: SceneState) -> bool:
        # pushing the rack, the hand is not much farther away
        return not is_inserted(state) or motions.is_beside(state, state.position("vial"), 0.025)

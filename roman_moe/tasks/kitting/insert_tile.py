"""Insert tile: pick the tile from the mat, turn it to the slot's angle and put it in."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.disturbance import KnockOut
from roman_moe.sim.motions import CLOSE, OPEN, POSITION_GAIN, TURN_GAIN, approach, is_held, nearness, to_turning_action
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.kitting import layout, motion

SEATED = 0.014  # [m] the tile's point above the slot's mouth when it lies on the tray's floor
ABOVE = 0.033  # [m] likewise, when its underside is 3 mm below the mouth, whose walls then keep it in place
OVER = 0.004  # [m] from the slot's middle, within which it is let go: the slot leaves 5 mm
FITS = 0.06  # [rad] between tile and slot, likewise: the slot leaves 0.11


class InsertTile(SimSkill):
    """The tile lies on the mat at any angle up to 60 degrees; done, it stands in the tray's slot."""

    left_at = "tile"
    disturbances = (KnockOut(),)

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        spot, angle = layout.TILE_AREA.draw(rng), rng.uniform(-layout.TILE_ANGLE, layout.TILE_ANGLE)
        if when is When.DONE:
            spot, angle = world.site("slot") + [0.0, 0.0, layout.SLOT_FLOOR], world.site_yaw("slot")
        world.put("tile", spot + [0.0, 0.0, layout.TILE_HALF_HEIGHT], angle)

    def achieved(self, world: World) -> bool:
        return world.touching("tray_base", "tile")

    def progress(self, state: SceneState) -> float:
        if is_inserted(state):
            return 1.0
        offset = state.position("tile") - state.position("slot")
        turn = abs(turn_left(state)) / (0.5 * math.pi)
        return 0.9 * nearness(offset, SEATED) * (1.0 - 0.3 * turn)

    def demonstrate(self, state: SceneState) -> Vector:
        if is_inserted(state):
            return motion.retreat(state)
        tile, slot = state.position("tile"), state.position("slot")
        offset, turn = slot - tile, turn_left(state)
        fits = math.hypot(offset[0], offset[1]) < OVER and abs(turn) < FITS
        if fits and -offset[2] < ABOVE + 0.004:  # it falls the rest of the way
            return to_turning_action(state, POSITION_GAIN * np.array([offset[0], offset[1], 0.0]), OPEN)
        if not is_held(state, tile):
            return motion.grasp(state, tile, state.yaw("tile"))
        velocity = approach(tile, slot + [0.0, 0.0, ABOVE], floor=0.03, radius=0.003, slope=4.0)
        velocity[:2] += 0.5 * POSITION_GAIN * (tile - state.hand_position)[:2]
        return to_turning_action(state, velocity, CLOSE, TURN_GAIN * turn)

    def leads(self, state: SceneState) -> bool:
        return not is_inserted(state) or motion.is_beside(state, "tile")


def is_inserted(state: SceneState) -> bool:
    """Whether the tile stands or leans in the slot, or falls into it; on the slot's rim it is 22 mm higher."""
    offset = state.position("tile") - state.position("slot")
    return math.hypot(offset[0], offset[1]) < 0.02 and offset[2] < SEATED + 0.010


def turn_left(state: SceneState) -> float:
    """Turn by which the tile gets to the slot's angle [rad]; half a turn changes nothing."""
    return (state.yaw("slot") - state.yaw("tile") + 0.5 * math.pi) % math.pi - 0.5 * math.pi

"""Insert pin: pick the pin from the mat and drop it into the tray's hole."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim import motions
from roman_moe.sim.disturbance import KnockOut
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.kitting import layout, motion

SEATED = 0.037  # [m] the pin's point above the hole's mouth when it stands on the tray's floor
ABOVE = 0.064  # [m] likewise, when its underside is 5 mm above the mouth
OVER = 0.005  # [m] from the hole's axis, within which it is let go


class InsertPin(SimSkill):
    """The pin stands on the mat; done, it stands in the tray's hole."""

    left_at = "pin"
    disturbances = (KnockOut(),)

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        spot, angle = layout.PIN_AREA.draw(rng), 0.0
        if when is When.DONE:
            spot, angle = world.site("hole") + [0.0, 0.0, layout.SLOT_FLOOR], world.site_yaw("hole")
        world.put("pin", spot + [0.0, 0.0, layout.PIN_HALF_HEIGHT], angle)

    def achieved(self, world: World) -> bool:
        return world.touching("tray_base", "pin")

    def progress(self, state: SceneState) -> float:
        if is_inserted(state):
            return 1.0
        return 0.9 * motions.nearness(state.position("pin") - state.position("hole"), SEATED)

    def demonstrate(self, state: SceneState) -> Vector:
        if is_inserted(state):
            return motion.retreat(state)
        pin, hole = state.position("pin"), state.position("hole")
        offset = hole - pin
        over = math.hypot(offset[0], offset[1]) < OVER
        if over and pin[2] - hole[2] < ABOVE + 0.004:  # it falls the rest of the way
            return motions.to_turning_action(
                state, motions.POSITION_GAIN * np.array([offset[0], offset[1], 0.0]), motions.OPEN
            )
        if not motions.is_held(state, pin):
            return motion.grasp(state, pin, 0.0)
        velocity = motions.approach(pin, hole + [0.0, 0.0, ABOVE], floor=0.03, radius=0.003, slope=4.0)
        return motions.to_turning_action(
            state, velocity, motions.CLOSE, motions.TURN_GAIN * motions.angle_to(state, 0.0)
        )

    def leads(self, state: SceneState) -> bool:
        return not is_inserted(state) or motion.is_beside(state, "pin")


def is_inserted(state: SceneState) -> bool:
    """Whether the pin stands in the hole, or falls into it."""
    offset = state.position("pin") - state.position("hole")
    return math.hypot(offset[0], offset[1]) < 0.02 and offset[2] < SEATED + 0.010

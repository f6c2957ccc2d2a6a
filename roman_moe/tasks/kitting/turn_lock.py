"""Turn lock: grasp the lock's bar and turn it by a quarter."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.motions import CLOSE, POSITION_GAIN, TURN_GAIN, angle_to, is_held, to_turning_action
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.kitting import layout, motion

QUARTER = 0.5 * math.pi  # [rad]
LEAD = 0.25  # [rad] by which the hand's angle leads the bar's at most


class TurnLock(SimSkill):
    """The bar is nearly along x; done, it is across it."""

    left_at = "lock"

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        shut = rng.uniform(0.0, layout.LOCK_SHUT)
        world.set_joint("lock", QUARTER if when is When.DONE else shut)

    def achieved(self, world: World) -> bool:
        return world.joint("lock") >= layout.LOCK_TURNED

    def progress(self, state: SceneState) -> float:
        return angle(state) / layout.LOCK_TURNED

    def demonstrate(self, state: SceneState) -> Vector:
        turned, lock = angle(state), state.position("lock")
        if turned > layout.LOCK_TURNED + 0.04:
            return motion.retreat(state)
        if not is_held(state, lock):
            return motion.grasp(state, lock, turned)
        lead = angle_to(state, min(turned + LEAD, QUARTER + 0.1))
        return to_turning_action(state, POSITION_GAIN * (lock - state.hand_position), CLOSE, TURN_GAIN * lead)

    def leads(self, state: SceneState) -> bool:
        return True


def angle(state: SceneState) -> float:
    """By which the bar is turned [rad], from a quarter backwards to three quarters forwards."""
    return (state.yaw("lock") + 0.25 * math.pi) % math.pi - 0.25 * math.pi

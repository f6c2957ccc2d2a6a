"""Rotate open: swing the cabinet door open by its handle."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.disturbance import KnockOut
from roman_moe.sim.motions import CLOSE, POSITION_GAIN, grasp, is_beside, is_held, retreat, to_action
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import DOOR_RANGE, HINGE, door_angle

OPEN_SHARE = 0.85  # success: 102 deg
SHUT_SHARE = 0.5


class RotateOpen(SimSkill):
    """Open the door."""

    left_at = "door_handle"
    undone = ("pick_and_drop",)  # ROMAN: the cover has been dropped in the scenario that starts here, but not alone
    disturbances = (KnockOut(),)

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        low, high = {When.LATER: (0.0, 0.0), When.START: (0.0, 0.1), When.DONE: (0.85, 1.0)}[when]
        world.set_joint("door", rng.uniform(low, high) * DOOR_RANGE)

    def achieved(self, world: World) -> bool:
        return world.joint("door") >= OPEN_SHARE * DOOR_RANGE

    def progress(self, state: SceneState) -> float:
        return door_angle(state) / (OPEN_SHARE * DOOR_RANGE)

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, *self._motion(state))

    def _motion(self, state: SceneState) -> tuple[Vector, float]:
        handle = state.position("door_handle")
        angle = door_angle(state)
        if angle > 0.90 * DOOR_RANGE:
            return retreat(state)
        if not is_held(state, handle):
            return grasp(state, handle)
        offset = handle - state.hand_position
        arm = handle[:2] - HINGE
        radius = math.hypot(arm[0], arm[1])
        speed = min(3.0 * radius * (0.95 * DOOR_RANGE - angle) + 0.01, 0.85 * self.spec.action.top_speed)
        velocity = POSITION_GAIN * offset
        velocity[0] += speed * arm[1] / radius
        velocity[1] -= speed * arm[0] / radius
        return velocity, CLOSE

    def leads(self, state: SceneState) -> bool:
        return door_angle(state) < SHUT_SHARE * DOOR_RANGE or is_beside(state, state.position("door_handle"))

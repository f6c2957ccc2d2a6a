"""Pick and place: lift the rack out of the cabinet and place it on its plate."""

from __future__ import annotations

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.disturbance import CLEAR, Disturbance, KnockOut, Ongoing, move_joint
from roman_moe.sim.motions import (
    CLOSE,
    POSITION_GAIN,
    approach,
    grasp,
    is_beside,
    is_held,
    nearness,
    retreat,
    to_action,
)
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import (
    DOOR_RANGE,
    LOW_ENOUGH,
    RACK_HEIGHT,
    REST_GAP,
    SCALE,
    door_angle,
    is_inserted,
    is_placed,
)

RACK_RANGE = (0.05 * SCALE, 0.025 * SCALE)  # [m] about the plate
HALF = (0.35, 0.5)  # of its range that the door is left open
DOOR_SPEED = 2.0  # [rad/s]
OVERHEAD = 0.10  # [m] a hand this high has room for the door to swing below it


class CloseDoor(Disturbance):
    """Close the door half-way while the rack is still in the cabinet."""

    name = "close_door"
    whole_only = True

    def can_happen(self, world: World, state: SceneState, resting: dict[str, float]) -> bool:
        hand = state.hand_position
        stored = world.height("rack") < resting["rack"] + 0.005 and not is_placed(state)
        distance = float(np.linalg.norm((hand - state.position("rack"))[:2]))
        is_open = door_angle(state) > 0.85 * DOOR_RANGE
        return is_open and stored and bool(hand[2] > OVERHEAD) and distance > 1.5 * CLEAR

    def act(self, world: World, state: SceneState, rng: np.random.Generator) -> Ongoing:
        return move_joint(state, "door", rng.uniform(*HALF) * DOOR_RANGE, DOOR_SPEED)


class PickAndPlace(SimSkill):
    """Place the rack."""

    left_at = "rack"
    disturbances = (KnockOut(), CloseDoor())

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        offset = rng.uniform(-1.0, 1.0, 2) * RACK_RANGE
        if when is When.DONE:
            world.put("rack", world.site("rack_target") + np.array([*offset, REST_GAP]))
        else:
            world.put("rack", world.site("rack_store") + [0.0, 0.0, REST_GAP])

    def achieved(self, world: World) -> bool:
        return world.touching("rack_plate", "rack")

    def progress(self, state: SceneState) -> float:
        if is_placed(state):
            return 1.0
        return nearness(state.position("rack") - state.position("rack_target"), RACK_HEIGHT)

    def reach_point(self, state: SceneState) -> Vector:
        return state.position("rack")

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, *self._motion(state))

    def _motion(self, state: SceneState) -> tuple[Vector, float]:
        rack = state.position("rack")
        if is_placed(state):
            return retreat(state)
        if not is_held(state, rack):
            return grasp(state, rack)
        goal = state.position("rack_target") + [0.0, 0.0, RACK_HEIGHT - 0.004]
        velocity = approach(rack, goal, floor=0.12, radius=0.006)
        velocity[:2] += POSITION_GAIN * 0.5 * (rack - state.hand_position)[:2]
        return velocity, CLOSE

    def leads(self, state: SceneState) -> bool:
        if not is_placed(state, LOW_ENOUGH):
            return True
        holds_vial = float(np.max(np.abs(state.position("vial") - state.hand_position))) < 0.06
        return not is_inserted(state) and not holds_vial and is_beside(state, state.position("rack"))

"""Pick and place: lift the rack out of the cabinet and place it on its plate."""

from __future__ import annotations

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim import motions
from roman_moe.sim.disturbance import CLEAR, Disturbance, KnockOut, Ongoing, move_joint
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.roman import layout

RACK_RANGE = (0.05 * layout.SCALE, 0.025 * layout.SCALE)  # [m] about the plate
HALF = (0.35, 0.5)  # of its range that the door is left open
DOOR_SPEED = 2.0  # [rad/s]
OVERHEAD = 0.10  # [m] a hand this high has room for the door to swing below it


class CloseDoor(Disturbance):
    """Close the door half-way while the rack is still in the cabinet."""

    name = "close_door"
    whole_only = True

    def can_happen(self, world: World, state: SceneState, resting: dict[str, float]) -> bool:
        hand = state.hand_position
        stored = world.height("rack") < resting["rack"] + 0.005 and not layout.is_placed(state)
        distance = float(np.linalg.norm((hand - state.position("rack"))[:2]))
        is_open = layout.door_angle(state) > 0.85 * layout.DOOR_RANGE
        return is_open and stored and bool(hand[2] > OVERHEAD) and distance > 1.5 * CLEAR

    def act(self, world: World, state: SceneState, rng: np.random.Generator) -> Ongoing:
        return move_joint(state, "door", rng.uniform(*HALF) * layout.DOOR_RANGE, DOOR_SPEED)


class PickAndPlace(SimSkill):
    """Place the rack."""

    left_at = "rack"
    disturbances = (KnockOut(), CloseDoor())

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        offset = rng.uniform(-1.0, 1.0, 2) * RACK_RANGE
        if when is When.DONE:
            world.put("rack", world.site("rack_target") + np.array([*offset, layout.REST_GAP]))
        else:
            world.put("rack", world.site("rack_store") + [0.0, 0.0, layout.REST_GAP])

    def achieved(self, world: World) -> bool:
        return world.touching("rack_plate", "rack")

    def progress(self, state: SceneState) -> float:
        if layout.is_placed(state):
            return 1.0
        return motions.nearness(state.position("rack") - state.position("rack_target"), layout.RACK_HEIGHT)

    def demonstrate(self, state: SceneState) -> Vector:
        return motions.to_action(self.spec, *self._motion(state))

    def _motion(self, state: SceneState) -> tuple[Vector, float]:
        rack = state.position("rack")
        if layout.is_placed(state):
            return motions.retreat(state)
        if not motions.is_held(state, rack):
            return motions.grasp(state, rack)
        goal = state.position("rack_target") + [0.0, 0.0, layout.RACK_HEIGHT - 0.004]
        velocity = motions.approach(rack, goal, floor=0.12, radius=0.006)
        velocity[:2] += motions.POSITION_GAIN * 0.5 * (rack - state.hand_position)[:2]
        return velocity, motions.CLOSE

    def leads(self, state: SceneState) -> bool:
        if not layout.is_placed(state, layout.LOW_ENOUGH):
            return True
        holds_vial = float(np.max(np.abs(state.position("vial") - state.hand_position))) < 0.06
        return not layout.is_inserted(state) and not holds_vial and motions.is_beside(state, state.position("rack"))

"""Push: push the rack along the conveyor with closed fingers."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.disturbance import Disturbance, is_clear
from roman_moe.sim.motions import CLOSE, POSITION_GAIN, approach, go_home, is_beside, to_action
from roman_moe.sim.task import SimSkill, Vector, When
from roman_moe.sim.world import World
from roman_moe.tasks.roman import layout
from roman_moe.tasks.roman.simulation import PUSH_TOLERANCE

SHARE = 0.05  # success: what remains of the initial distance
NARROWER = 0.02 / 0.025  # spread of the rack along y, of what it has on its plate
PUSHED = (0.27 * layout.SCALE, 0.30 * layout.SCALE)  # [m] along -y, once it has been pushed
REMAINING = 0.6 * PUSH_TOLERANCE  # [m]

SHOVE_SPEED = (0.35, 0.65)  # [m/s] that the shove gives the rack: it slides one to four centimetres
SHOVE_ROOM = 0.07  # [m] from the end of the conveyor within which the rack is shoved away from it


class ShoveRack(Disturbance):
    """Shove the rack where it stands."""

    name = "shove_rack"

    def can_happen(self, world: World, state: SceneState, resting: dict[str, float]) -> bool:
        return layout.is_placed(state) and is_clear(state, "rack") and is_clear(state, "vial")

    def act(self, world: World, state: SceneState, rng: np.random.Generator) -> None:
        angle = rng.uniform(-math.pi, math.pi)
        speed = rng.uniform(*SHOVE_SPEED)
        at_end = state.position("rack")[1] - state.position("conveyor_end")[1] < SHOVE_ROOM
        sideways, along = speed * math.cos(angle), speed * math.sin(angle)
        # At the conveyor's end only backwards: there is nothing in front of it but the stop.
        push = [0.3 * sideways, abs(along)] if at_end else [sideways, along]
        for name in ("rack", "vial") if layout.is_inserted(state) else ("rack",):
            world.data.joint(name).qvel[:2] += push


class ReturnVial(Disturbance):
    """Move the inserted vial back into the drawer."""

    name = "return_vial"
    whole_only = True

    def can_happen(self, world: World, state: SceneState, resting: dict[str, float]) -> bool:
        offset = state.position("rack") - state.position("rack_target")
        return (
            layout.is_inserted(state)
            and is_clear(state, "vial")
            and layout.drawer_opening(state) > 0.9 * layout.DRAWER_TRAVEL
            and bool(offset[1] > -0.03)
            and layout.is_dropped(state)
        )

    def act(self, world: World, state: SceneState, rng: np.random.Generator) -> None:
        layout.put_vial(world, f"slot_{rng.integers(layout.SLOTS)}")
        world.data.joint("vial").qvel = 0.0


class Push(SimSkill):
    """Push the rack."""

    left_at = "rack"
    disturbances = (ShoveRack(), ReturnVial())

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        pushed = rng.uniform(*PUSHED)
        if when is When.LATER:
            return
        rack = world.data.joint("rack").qpos
        target = world.site("rack_target")
        rack[1] = target[1] + NARROWER * (rack[1] - target[1])
        if when is When.DONE:
            rack[1] -= pushed

    def begin(self, world: World) -> None:
        self.distance = layout.rack_distance(world)

    def achieved(self, world: World) -> bool:
        return abs(layout.rack_distance(world)) <= SHARE * abs(self.distance)

    def progress(self, state: SceneState) -> float:
        if not layout.is_placed(state):
            return 0.0
        end = state.position("conveyor_end")[1]
        remaining = abs(state.position("rack")[1] - end) / (state.position("rack_target")[1] - end)
        return 1.0 if remaining <= SHARE else 1.0 - float(remaining)

    def reach_point(self, state: SceneState) -> Vector:
        return state.position("rack") + [0.0, 0.058, -0.052 + 0.10 - layout.RACK_HEIGHT]

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, self._velocity(state), CLOSE)

    def _velocity(self, state: SceneState) -> Vector:
        hand, rack, end = state.hand_position, state.position("rack"), state.position("conveyor_end")
        if rack[1] < end[1] - 0.001:
            return go_home(state)
        contact = np.array([rack[0], rack[1] + 0.058, -0.052])  # half the rack and half the closed fingers
        lined_up = abs(hand[0] - rack[0]) < 0.012 and hand[2] < contact[2] + 0.02
        if lined_up and -0.01 < hand[1] - contact[1] < 0.06:
            # The last speed is not small: seen through noise, a push that creeps to its end never gets there.
            speed = min(max(3.0 * (rack[1] - end[1]), 0.04), 0.10)
            return np.array([POSITION_GAIN * (rack[0] - hand[0]), -speed, POSITION_GAIN * (contact[2] - hand[2])])
        return approach(hand, contact + [0.0, 0.03, 0.0])

    def leads(self, state: SceneState) -> bool:
        rack = state.position("rack")
        if rack[1] - state.position("conveyor_end")[1] > REMAINING:
            return True
        beside = bool(state.hand_position[1] < -layout.LEAVING_SIDE) or is_beside(state, rack, 0.10)
        return not state.flag("button_pressed") and beside

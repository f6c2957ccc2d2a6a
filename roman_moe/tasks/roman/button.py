"""Button: press the button with closed fingers."""

from __future__ import annotations

import math

from roman_moe.core.state import SceneState
from roman_moe.sim.motions import CLOSE, approach, go_home, to_action
from roman_moe.sim.task import SimSkill, Vector
from roman_moe.sim.world import World
from roman_moe.tasks.roman.push import ShoveRack

TRAVEL = 0.8 * 0.012  # [m] from which on it is pressed, while touched by the robot (ROMAN: 80 % of its range)
FINGERTIP = 0.011  # [m] from the hand point down to the fingertips
PRESS_SPEED = 0.10  # [m/s] down onto the button, from PRESS_HEIGHT above the target until it is pressed
PRESS_HEIGHT = 0.04  # [m]
PRESS_RADIUS = 0.008  # [m] from its axis


class ShoveAgain(ShoveRack):
    """Shove the rack that has been pushed."""

    whole_only = True


class Button(SimSkill):
    """Press the button."""

    disturbances = (ShoveAgain(),)

    def watch(self, world: World) -> None:
        if not world.flags[0] and world.joint("button") >= TRAVEL:
            world.flags[0] = world.robot_touches("button")

    def achieved(self, world: World) -> bool:
        return bool(world.flags[0])

    def progress(self, state: SceneState) -> float:
        return float(state.flag("button_pressed"))

    def demonstrate(self, state: SceneState) -> Vector:
        return to_action(self.spec, self._velocity(state), CLOSE)

    def _velocity(self, state: SceneState) -> Vector:
        hand = state.hand_position
        if state.flag("button_pressed"):
            return go_home(state)
        target = state.position("button") + [0.0, 0.0, FINGERTIP - 0.012]
        velocity = approach(hand, target, radius=0.006)
        if math.hypot(*(target - hand)[:2]) < PRESS_RADIUS and hand[2] < target[2] + PRESS_HEIGHT:
            # One speed until it is pressed: a clone of what slows down to where the button gives way stops there.
            velocity[2] = -PRESS_SPEED
        return velocity

    def leads(self, state: SceneState) -> bool:
        return True

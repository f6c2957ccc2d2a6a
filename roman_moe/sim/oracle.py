"""The oracle: a scripted demonstrator that reads the true state.

Each skill is a function of the present state alone, without memory, so that it takes up its work from any situation
(after a slip, a shove, another skill) and so that a memoryless network can learn it from what ROMAN's experts
observe: whether something is held shows in the finger forces, how far a skill has come shows in the positions of its
objects. The same holds for the gate. It is the source of demonstrations and the upper yardstick in reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.roman import ACTION_SIZE, HOME_POSITION, SKILLS, TOP_SPEED
from roman_moe.core.state import SceneState
from roman_moe.sim import layout

Vector = NDArray[np.float64]

OPEN, CLOSE = 1.0, -1.0

# Layout that a demonstrator knows by heart (assets/lab.xml); all in metres, base frame.
DRAWER_CLOSED_Y = 0.20  # of the handle
HINGE = np.array([0.268, -0.219])
HANDLE_CLOSED_ANGLE = math.atan2(0.117, 0.172)
FINGERTIP = 0.011  # from the hand point down to the fingertips
HOLE = np.array([0.017, 0.0209])  # of the rack that the oracle fills, from the rack's centre
RACK_HEIGHT = 0.084  # of the point on its handle above its underside

TRANSIT = 0.13  # height at which an empty hand passes over everything
POSITION_GAIN = 6.0  # [1/s]
GRASP_FORCE = 1.0  # [N] on both fingers: something is held
PRESS_SPEED = 0.10  # [m/s] down onto the button, from PRESS_HEIGHT above the target until it is pressed
PRESS_HEIGHT = 0.04  # [m]
PRESS_RADIUS = 0.008  # [m] from its axis


class SkillOracle:
    """One skill's demonstrator."""

    def __init__(self, skill: str) -> None:
        self.skill = skill
        self._answer = _SKILLS[skill]

    def action(self, state: SceneState) -> Vector:
        """Clean action for a true state, (4,) in [-1, 1]."""
        velocity, gripper = self._answer(state)
        return _action(velocity, gripper)


def _action(velocity: Vector, gripper: float) -> Vector:
    """Scale a velocity [m/s] down, keeping its direction, to what an action can say."""
    action = np.empty(ACTION_SIZE)
    action[:3] = velocity / TOP_SPEED
    action[:3] /= max(1.0, float(np.max(np.abs(action[:3]))))
    action[3] = gripper
    return action


def _approach(
    hand: Vector, target: Vector, *, floor: float = TRANSIT, radius: float = 0.004, slope: float = 3.0
) -> Vector:
    """Velocity that reaches a target from above.

    The hand must stay above a funnel around the target that rises with the distance from its axis to the height
    `floor`: below the funnel it climbs before it moves sideways.
    """
    error = target - hand
    distance = math.hypot(error[0], error[1])
    allowed = target[2] + min(max((distance - radius) * slope, 0.0), max(floor - target[2], 0.0))
    below = allowed - hand[2]
    sideways = min(max(1.0 - (below - 0.005) / 0.02, 0.0), 1.0)
    return POSITION_GAIN * np.array([sideways * error[0], sideways * error[1], allowed - hand[2]])


def _go_home(hand: Vector) -> Vector:
    """Velocity that climbs to the transit height and then goes home."""
    error = HOME_POSITION - hand
    sideways = min(max((hand[2] - TRANSIT + 0.05) / 0.04, 0.0), 1.0)
    return POSITION_GAIN * np.array([sideways * error[0], sideways * error[1], error[2]])


def _is_held(state: SceneState, grasp: Vector, tolerance: float = 0.02) -> bool:
    offset = grasp - state.hand_position
    return bool(np.all(state.finger_forces > GRASP_FORCE)) and float(np.max(np.abs(offset))) < tolerance


def _grasp(state: SceneState, grasp: Vector) -> tuple[Vector, float]:
    """Approach a grasp point with open fingers and close them there."""
    hand = state.hand_position
    offset = grasp - hand
    close = math.hypot(offset[0], offset[1]) < 0.008 and abs(offset[2]) < 0.008
    return _approach(hand, grasp), CLOSE if close else OPEN


def pull(state: SceneState) -> tuple[Vector, float]:
    """Open the drawer by its handle."""
    handle = state.position("drawer_handle")
    opening = DRAWER_CLOSED_Y - handle[1]
    if opening > 0.975 * layout.DRAWER_TRAVEL:
        return _retreat(state)
    if not _is_held(state, handle):
        return _grasp(state, handle)
    offset = handle - state.hand_position
    speed = min(POSITION_GAIN * (layout.DRAWER_TRAVEL - opening) + 0.01, TOP_SPEED)
    return np.array([POSITION_GAIN * offset[0], -speed, POSITION_GAIN * offset[2]]), CLOSE


def _retreat(state: SceneState) -> tuple[Vector, float]:
    """Let go, then go home: no climbing while the fingers still press on something."""
    if np.any(state.finger_forces > GRASP_FORCE):
        return np.zeros(3), OPEN
    return _go_home(state.hand_position), OPEN


def pick_and_drop(state: SceneState) -> tuple[Vector, float]:
    """Take the cover off the box and drop it on the drawer unit."""
    cover, zone = state.position("cover"), state.position("drop_zone")
    if is_dropped(state):
        return _retreat(state)
    if not _is_held(state, cover):
        return _grasp(state, cover)
    offset = cover - state.hand_position
    goal = np.array([zone[0], zone[1], zone[2] + 0.022])
    velocity = _approach(cover, goal, floor=0.12, radius=0.01)
    velocity[:2] += POSITION_GAIN * 0.5 * offset[:2]
    return velocity, CLOSE


def is_dropped(state: SceneState, tolerance: float = 0.005) -> bool:
    """Whether the cover lies on the drop zone or `tolerance` [m] above it (its handle is 26 mm above its underside)."""
    offset = state.position("cover") - state.position("drop_zone")
    return abs(offset[0]) < 0.12 and abs(offset[1]) < 0.10 and -0.01 < offset[2] < 0.026 + tolerance


def door_angle(state: SceneState) -> float:
    """Opening angle of the cabinet door [rad]."""
    offset = state.position("door_handle")[:2] - HINGE
    return HANDLE_CLOSED_ANGLE - math.atan2(offset[1], offset[0])


def rotate_open(state: SceneState) -> tuple[Vector, float]:
    """Swing the cabinet door open by its handle."""
    handle = state.position("door_handle")
    angle = door_angle(state)
    if angle > 0.90 * layout.DOOR_RANGE:
        return _retreat(state)
    if not _is_held(state, handle):
        return _grasp(state, handle)
    offset = handle - state.hand_position
    arm = handle[:2] - HINGE
    radius = math.hypot(arm[0], arm[1])
    speed = min(3.0 * radius * (0.95 * layout.DOOR_RANGE - angle) + 0.01, 0.85 * TOP_SPEED)
    velocity = POSITION_GAIN * offset
    velocity[0] += speed * arm[1] / radius
    velocity[1] -= speed * arm[0] / radius
    return velocity, CLOSE


def pick_and_place(state: SceneState) -> tuple[Vector, float]:
    """Lift the rack out of the cabinet and place it on its plate."""
    rack = state.position("rack")
    if is_placed(state):
        return _retreat(state)
    if not _is_held(state, rack):
        return _grasp(state, rack)
    goal = state.position("rack_target") + [0.0, 0.0, RACK_HEIGHT - 0.004]
    velocity = _approach(rack, goal, floor=0.12, radius=0.006)
    velocity[:2] += POSITION_GAIN * 0.5 * (rack - state.hand_position)[:2]
    return velocity, CLOSE


def is_placed(state: SceneState, tolerance: float = 0.003) -> bool:
    """Whether the rack stands, to within `tolerance` [m], on its plate or on the conveyor behind it."""
    offset = state.position("rack") - state.position("rack_target")
    return abs(offset[0]) < 0.06 and -0.25 < offset[1] < 0.04 and abs(offset[2] - RACK_HEIGHT) < tolerance


def pick_and_insert(state: SceneState) -> tuple[Vector, float]:
    """Take the vial from the drawer and insert it into the rack."""
    vial, rack = state.position("vial"), state.position("rack")
    if is_inserted(state):
        return _retreat(state)
    mouth = rack + [HOLE[0], HOLE[1], 0.002]
    offset = mouth - vial
    aligned = math.hypot(offset[0], offset[1]) < 0.005
    if aligned and vial[2] < mouth[2] + 0.004:
        return POSITION_GAIN * np.array([offset[0], offset[1], 0.0]), OPEN  # drop it the rest of the way
    grasp = vial + [0.0, 0.0, 0.030]
    if not _is_held(state, grasp, tolerance=0.03):
        return _grasp(state, grasp)
    return _approach(vial, mouth, floor=0.115, radius=0.003, slope=4.0), CLOSE


def is_inserted(state: SceneState) -> bool:
    """Whether the vial stands in a hole of the rack (or falls into it)."""
    offset = state.position("vial") - state.position("rack")
    return abs(offset[0]) < 0.068 and abs(offset[1]) < 0.042 and offset[2] < -0.012


def push(state: SceneState) -> tuple[Vector, float]:
    """Push the rack along the conveyor with closed fingers."""
    hand, rack, end = state.hand_position, state.position("rack"), state.position("conveyor_end")
    if rack[1] < end[1] - 0.001:
        return _go_home(hand), CLOSE
    contact = np.array([rack[0], rack[1] + 0.058, -0.052])  # half the rack and half the closed fingers
    lined_up = abs(hand[0] - rack[0]) < 0.012 and hand[2] < contact[2] + 0.02
    if lined_up and -0.01 < hand[1] - contact[1] < 0.06:
        # The last speed is not small: seen through noise, a push that creeps to its end never gets there.
        speed = min(max(3.0 * (rack[1] - end[1]), 0.04), 0.10)
        return np.array([POSITION_GAIN * (rack[0] - hand[0]), -speed, POSITION_GAIN * (contact[2] - hand[2])]), CLOSE
    return _approach(hand, contact + [0.0, 0.03, 0.0]), CLOSE


def button(state: SceneState) -> tuple[Vector, float]:
    """Press the button with closed fingers."""
    hand = state.hand_position
    if state.flag("button_pressed"):
        return _go_home(hand), CLOSE
    target = state.position("button") + [0.0, 0.0, FINGERTIP - 0.012]
    velocity = _approach(hand, target, radius=0.006)
    if math.hypot(*(target - hand)[:2]) < PRESS_RADIUS and hand[2] < target[2] + PRESS_HEIGHT:
        # One speed until it is pressed: a clone of what slows down to where the button gives way stops there.
        velocity[2] = -PRESS_SPEED
    return velocity, CLOSE


_SKILLS: Mapping[str, Callable[[SceneState], tuple[Vector, float]]] = {
    "pull": pull,
    "pick_and_drop": pick_and_drop,
    "rotate_open": rotate_open,
    "pick_and_place": pick_and_place,
    "pick_and_insert": pick_and_insert,
    "push": push,
    "button": button,
}
assert tuple(_SKILLS) == SKILLS

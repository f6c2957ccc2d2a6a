"""Extrinsic reward r_E: success, and progress towards it as a difference of potentials.

ROMAN's public code adds dense terms up (distance to the object, how far the object has come, the way home), which also
pays for standing still near a goal. Here the same quantities are a potential and its differences are paid, after Ng,
Harada and Russell, "Policy invariance under reward transformations", ICML 1999; without their discount, so that an
episode's rewards add up to the way that it has come. All of it is computed from the true state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.roman import HOME_POSITION, SKILLS
from roman_moe.core.state import SceneState
from roman_moe.sim import layout
from roman_moe.sim.oracle import DRAWER_CLOSED_Y, HOLE, RACK_HEIGHT, door_angle, is_dropped, is_inserted, is_placed

REACH_SCALE = 0.10  # [m] over which nearness of the hand to its object fades
FAR = 0.35  # [m] an object this far from its goal has come no part of the way
REACH_SHARE, HOME_SHARE = 0.25, 0.25
"""Shares of a skill's potential: the hand's way to the object, and its way home afterwards."""


def _pulled(state: SceneState) -> float:
    opening: float = DRAWER_CLOSED_Y - state.position("drawer_handle")[1]
    return opening / (layout.DRAWER_OPEN_SHARE * layout.DRAWER_TRAVEL)


def _dropped(state: SceneState) -> float:
    if is_dropped(state, 0.003):
        return 1.0
    return _nearness(state.position("cover") - state.position("drop_zone"), 0.026)


def _opened(state: SceneState) -> float:
    return door_angle(state) / (layout.DOOR_OPEN_SHARE * layout.DOOR_RANGE)


def _placed(state: SceneState) -> float:
    if is_placed(state):
        return 1.0
    return _nearness(state.position("rack") - state.position("rack_target"), RACK_HEIGHT)


def _inserted(state: SceneState) -> float:
    if is_inserted(state):
        return 1.0
    offset = state.position("vial") - state.position("rack")
    offset[:2] -= HOLE
    return 0.8 * _nearness(offset, 0.0)


def _pushed(state: SceneState) -> float:
    if not is_placed(state):
        return 0.0
    end = state.position("conveyor_end")[1]
    remaining = abs(state.position("rack")[1] - end) / (state.position("rack_target")[1] - end)
    return 1.0 if remaining <= layout.PUSH_SHARE else 1.0 - remaining


def _pressed(state: SceneState) -> float:
    return float(state.flag("button_pressed"))


def _nearness(offset: NDArray[np.float64], height: float) -> float:
    """1 at an offset of `height` straight up, 0 at `FAR` from there."""
    return 1.0 - min(math.hypot(offset[0], offset[1], offset[2] - height) / FAR, 1.0)


_COMPLETION = dict(zip(SKILLS, (_pulled, _dropped, _opened, _placed, _inserted, _pushed, _pressed), strict=True))


def completion(state: SceneState, skill: str) -> float:
    """How far a skill has come in a true state, in [0, 1]: a term of ROMAN's reward for the gate."""
    return min(max(float(_COMPLETION[skill](state)), 0.0), 1.0)


def grasp_point(state: SceneState, skill: str) -> NDArray[np.float64]:
    """Where a skill's hand has to go first, (3,) [m]."""
    if skill == "push":
        return state.position("rack") + [0.0, 0.058, -0.052 + 0.10 - RACK_HEIGHT]
    if skill == "pick_and_insert":
        return state.position("vial") + [0.0, 0.0, 0.03]
    return state.position(_OBJECT_OF[skill])


_OBJECT_OF = {
    "pull": "drawer_handle",
    "pick_and_drop": "cover",
    "rotate_open": "door_handle",
    "pick_and_place": "rack",
    "button": "button",
}


def potential(state: SceneState, skill: str | None) -> float:
    """How far a skill has come, hand's ways included; or, for None, the whole task; in [0, 1]."""
    if skill is None:
        return sum(completion(state, each) for each in SKILLS) / len(SKILLS)
    done = completion(state, skill)
    if done >= 1.0:
        home = 1.0 - math.tanh(math.dist(state.hand_position, HOME_POSITION) / (2.0 * REACH_SCALE))
        return 1.0 - HOME_SHARE + HOME_SHARE * home
    reach = 1.0 - math.tanh(math.dist(state.hand_position, grasp_point(state, skill)) / REACH_SCALE)
    return REACH_SHARE * reach * (1.0 - done) + (1.0 - HOME_SHARE) * done


@dataclass(frozen=True, slots=True)
class TaskReward:
    """r_E of one tick: `progress` times the gain of potential, and `success` once.

    Attributes:
        success: reward at the end of a solved episode.
        progress: reward of the whole way from potential 0 to 1; 0 for a sparse reward.
    """

    success: float = 1.0
    progress: float = 0.0

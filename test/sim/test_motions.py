"""Building blocks of demonstrators whose hand turns."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scenes import scene_at
from specs import ROMAN

from roman_moe.core.state import POINTING_DOWN, SceneState, rotated
from roman_moe.sim.motions import CLOSE, OPEN, TURNING_ROOM, angle_to, grasp_turned, retreat_turned, to_turning_action

SPEC = replace(ROMAN, action=replace(ROMAN.action, angular=("rx", "rz"), top_angular_speed=1.0))
HOME = np.array(SPEC.home.position)


def state_of(hand: np.ndarray, yaw: float = 0.0, force: float = 0.0) -> SceneState:
    return scene_at(
        0,
        SPEC,
        hand_position=np.asarray(hand, dtype=float),
        hand_orientation=rotated(POINTING_DOWN, np.array([0.0, 0.0, yaw])),
        finger_opening=0.04,
        finger_forces=np.full(2, force),
    )


def test_a_turn_about_the_vertical_goes_where_the_task_has_it():
    action = to_turning_action(state_of(HOME), np.array([0.0, 0.1, 0.0]), OPEN, -0.4)
    assert action == pytest.approx([0.0, 0.5, 0.0, 0.0, -0.4, OPEN])


@pytest.mark.parametrize(
    ("yaw", "angle", "symmetry", "expected"),
    [
        (0.0, 0.3, 2, 0.3),
        (0.0, 0.3 + math.pi, 2, 0.3),
        (0.0, 3.0, 1, 3.0),
        (0.4, 0.3, 2, -0.1),
        (0.0, 2.0, 4, 2.0 - 0.5 * math.pi),
    ],
)
def test_the_shortest_turn_is_found(yaw: float, angle: float, symmetry: int, expected: float):
    assert angle_to(state_of(HOME, yaw), angle, symmetry) == pytest.approx(expected)


def test_the_hand_turns_before_it_goes_down_and_closes_when_it_is_there():
    point = np.array([0.4, 0.1, 0.0])
    above = state_of(point + [0.0, 0.0, TURNING_ROOM])
    assert grasp_turned(above, point, 1.0)[2] == 0.0
    assert grasp_turned(above, point, 1.0)[-2] == 1.0
    assert grasp_turned(above, point, 0.1)[2] < 0.0
    assert grasp_turned(state_of(point), point, 1.0)[-1] == OPEN
    assert grasp_turned(state_of(point, yaw=0.95), point, 1.0)[-1] == CLOSE
    assert grasp_turned(state_of(point + [0.0, 0.01, 0.0], yaw=0.95), point, 1.0)[-1] == OPEN


def test_the_hand_turns_back_only_when_it_is_high_and_holds_nothing():
    low, high = state_of([0.4, 0.1, 0.0], yaw=1.0), state_of(HOME + [0.1, 0.0, 0.0], yaw=1.0)
    assert list(retreat_turned(low)[[0, 1, -2]]) == [0.0, 0.0, 0.0]
    assert retreat_turned(high)[-2] == -1.0
    assert list(retreat_turned(state_of(HOME, yaw=1.0, force=2.0))[:-1]) == [0.0] * 5

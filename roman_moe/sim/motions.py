"""Building blocks of scripted demonstrators: approach from above, grasp, let go, go home.

Each is a function of the present state alone, without memory, so that a demonstrator takes up its work from any
situation (after a slip, a shove, another skill) and a memoryless network can learn it from what experts observe.
"""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.conditions import FAR
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState
from roman_moe.sim.task import SimTask, Vector

OPEN, CLOSE = 1.0, -1.0
"""Gripper actions."""
TRANSIT = 0.13  # [m] height at which an empty hand passes over everything, where a task says nothing else
POSITION_GAIN = 6.0  # [1/s]
GRASP_FORCE = 1.0  # [N] on both fingers: something is held


def to_action(spec: TaskSpec, velocity: Vector, gripper: float, turn: Vector | None = None) -> Vector:
    """Action for a hand velocity [m/s] and angular velocities about the task's axes [rad/s].

    Each is scaled down, keeping its direction, to what an action can say.
    """
    action = np.zeros(spec.action.size)
    action[:3] = velocity / spec.action.top_speed
    action[:3] /= max(1.0, float(np.max(np.abs(action[:3]))))
    if turn is not None:
        action[3:-1] = np.clip(turn / spec.action.top_angular_speed, -1.0, 1.0)
    action[-1] = gripper
    return action


def approach(
    hand: Vector, target: Vector, *, floor: float = TRANSIT, radius: float = 0.004, slope: float = 3.0
) -> Vector:
    """Velocity that reaches a target from above [m/s].

    The hand must stay above a funnel around the target that rises with the distance from its axis to the height
    `floor`: below the funnel it climbs before it moves sideways.
    """
    error = target - hand
    distance = math.hypot(error[0], error[1])
    allowed = target[2] + min(max((distance - radius) * slope, 0.0), max(floor - target[2], 0.0))
    below = allowed - hand[2]
    sideways = min(max(1.0 - (below - 0.005) / 0.02, 0.0), 1.0)
    return POSITION_GAIN * np.array([sideways * error[0], sideways * error[1], allowed - hand[2]])


def go_home(state: SceneState, transit: float = TRANSIT) -> Vector:
    """Velocity that climbs to the transit height and then goes home [m/s]."""
    hand = state.hand_position
    error = np.array(state.spec.home.position) - hand
    sideways = min(max((hand[2] - transit + 0.05) / 0.04, 0.0), 1.0)
    return POSITION_GAIN * np.array([sideways * error[0], sideways * error[1], error[2]])


def holds(state: SceneState) -> bool:
    """Whether something is between the fingers."""
    return bool(np.all(state.finger_forces > GRASP_FORCE))


def is_held(state: SceneState, grasp: Vector, tolerance: float = 0.02) -> bool:
    """Whether what is grasped at this point is between the fingers."""
    return holds(state) and float(np.max(np.abs(grasp - state.hand_position))) < tolerance


def grasp(state: SceneState, point: Vector, transit: float = TRANSIT) -> tuple[Vector, float]:
    """Approach a grasp point with open fingers and close them there: velocity and gripper action."""
    offset = point - state.hand_position
    close = math.hypot(offset[0], offset[1]) < 0.008 and abs(offset[2]) < 0.008
    return approach(state.hand_position, point, floor=transit), CLOSE if close else OPEN


def retreat(state: SceneState, transit: float = TRANSIT) -> tuple[Vector, float]:
    """Let go, then go home: no climbing while the fingers still press on something."""
    if np.any(state.finger_forces > GRASP_FORCE):
        return np.zeros(3), OPEN
    return go_home(state, transit), OPEN


def is_beside(state: SceneState, thing: Vector, radius: float = 0.05, height: float = 0.10) -> bool:
    """Whether the hand is low and near the axis of a thing: it has not left it yet."""
    hand = state.hand_position
    return bool(hand[2] < height and math.hypot(hand[0] - thing[0], hand[1] - thing[1]) < radius)


def nearness(offset: Vector, height: float) -> float:
    """How near a thing is to its goal: 1 at an offset of `height` straight up, 0 at `FAR` from there."""
    return 1.0 - min(math.hypot(offset[0], offset[1], offset[2] - height) / FAR, 1.0)


def leading_skill(task: SimTask, state: SceneState) -> str:
    """The first skill that has work left or has not let go yet; the last one if there is none."""
    *others, last = task.skills
    return next((name for name in others if task.skills[name].leads(state)), last)

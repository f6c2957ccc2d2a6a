"""Building blocks of scripted demonstrators: approach from above, grasp, let go, go home.

Each is a function of the present state alone, without memory. So a demonstrator goes on from any situation, such as a
slip, a shove or another skill, and a memoryless network can learn it from what experts observe.
"""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.conditions import FAR
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState, yaw
from roman_moe.sim.task import SimTask, Vector

OPEN, CLOSE = 1.0, -1.0
"""Gripper actions."""
TRANSIT = 0.13  # [m] height at which an empty hand passes over everything, where a task says nothing else
POSITION_GAIN = 6.0  # [1/s]
GRASP_FORCE = 1.0  # [N] on both fingers: something is held
CLOSE_ENOUGH = 0.008  # [m] between hand and grasp point, across and along the vertical, before the fingers close
TURN_GAIN = 5.0  # [1/s]
ALIGNED = 0.10  # [rad] between hand and thing, before the fingers close
TURNING_ROOM = 0.05  # [m] above a thing, in which the hand turns to it


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


def to_turning_action(state: SceneState, velocity: Vector, gripper: float, turn: float = 0.0) -> Vector:
    """Action for a hand velocity [m/s] and a turn about the vertical [rad/s], of a task that turns about it."""
    angular = state.spec.action.angular
    return to_action(state.spec, velocity, gripper, np.array([turn if axis == "rz" else 0.0 for axis in angular]))


def approach(
    hand: Vector, target: Vector, *, floor: float = TRANSIT, radius: float = 0.004, slope: float = 3.0
) -> Vector:
    """Velocity that reaches a target from above [m/s].

    The hand must stay above a funnel around the target, which rises with the distance from its axis up to the height
    `floor`. Below the funnel the hand climbs before it moves sideways.
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
    gripper = CLOSE if _is_at(state, point) else OPEN
    return approach(state.hand_position, point, floor=transit), gripper


def grasp_turned(state: SceneState, point: Vector, angle: float, transit: float = TRANSIT) -> Vector:
    """Approach a grasp point with open fingers, turned to an angle [rad], and close them there: the action."""
    turn, velocity = angle_to(state, angle), approach(state.hand_position, point, floor=transit)
    if abs(turn) > 2.0 * ALIGNED and velocity[2] < 0.0:
        velocity[2] = min(0.0, POSITION_GAIN * (point[2] + TURNING_ROOM - state.hand_position[2]))
    gripper = CLOSE if _is_at(state, point) and abs(turn) < ALIGNED else OPEN
    return to_turning_action(state, velocity, gripper, TURN_GAIN * turn)


def angle_to(state: SceneState, angle: float, symmetry: int = 2) -> float:
    """Shortest turn of the hand to an angle, or to one that looks the same [rad]; a gripper's fingers may swap."""
    period = 2.0 * math.pi / symmetry
    return (angle - yaw(state.hand_orientation) + 0.5 * period) % period - 0.5 * period


def _is_at(state: SceneState, point: Vector) -> bool:
    offset = point - state.hand_position
    return math.hypot(offset[0], offset[1]) < CLOSE_ENOUGH and bool(abs(offset[2]) < CLOSE_ENOUGH)


def retreat(state: SceneState, transit: float = TRANSIT) -> tuple[Vector, float]:
    """Let go, then go home: no climbing while the fingers still press on something."""
    if np.any(state.finger_forces > GRASP_FORCE):
        return np.zeros(3), OPEN
    return go_home(state, transit), OPEN


def retreat_turned(state: SceneState, transit: float = TRANSIT) -> Vector:
    """Let go, then climb and go home, turned as at home: the action."""
    velocity, gripper = retreat(state, transit)
    high = min(max((state.hand_position[2] - transit + 0.05) / 0.04, 0.0), 1.0)
    turn = high * TURN_GAIN * angle_to(state, yaw(np.array(state.spec.home.orientation)), symmetry=1)
    return to_turning_action(state, velocity, gripper, turn if velocity.any() else 0.0)


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

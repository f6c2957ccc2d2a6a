"""What the demonstrators of all skills share: how the hand turns to a thing, grasps it, and goes home turned back.

All of it is a function of the present state alone. Lengths in metres, angles in radians, base frame.
"""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim import motions
from roman_moe.sim.motions import CLOSE, OPEN, POSITION_GAIN
from roman_moe.sim.task import Vector

TRANSIT = 0.06  # height of the hand at which it passes over everything on the table
TURN_GAIN = 5.0  # [1/s]
CLOSE_ENOUGH = 0.008  # between hand and grasp point, before the fingers close
ALIGNED = 0.10  # [rad] between hand and thing, likewise
TURNING_ROOM = 0.05  # above a thing, in which the hand turns to it


def action(state: SceneState, velocity: Vector, gripper: float, turn: float = 0.0) -> Vector:
    """Action for a hand velocity [m/s], a gripper action and a turn about the vertical [rad/s]."""
    return motions.to_action(state.spec, velocity, gripper, np.array([turn]))


def angle_to(state: SceneState, wanted: float, symmetry: int = 2) -> float:
    """Shortest turn of the hand to an angle, or to one that looks the same."""
    period = 2.0 * math.pi / symmetry
    return (wanted - state.hand_yaw + 0.5 * period) % period - 0.5 * period


def grasp(state: SceneState, point: Vector, yaw: float) -> Vector:
    """Approach a point with open fingers, turned to an angle, and close them there."""
    turn, velocity = angle_to(state, yaw), motions.approach(state.hand_position, point, floor=TRANSIT)
    if abs(turn) > 2.0 * ALIGNED and velocity[2] < 0.0:
        velocity[2] = min(0.0, POSITION_GAIN * (point[2] + TURNING_ROOM - state.hand_position[2]))
    offset = point - state.hand_position
    there = math.hypot(offset[0], offset[1]) < CLOSE_ENOUGH and abs(offset[2]) < CLOSE_ENOUGH
    return action(state, velocity, CLOSE if there and abs(turn) < ALIGNED else OPEN, TURN_GAIN * turn)


def retreat(state: SceneState) -> Vector:
    """Let go, then climb and go home, turned back as at home."""
    velocity, gripper = motions.retreat(state, TRANSIT)
    high = min(max((state.hand_position[2] - TRANSIT + 0.05) / 0.04, 0.0), 1.0)
    turn = high * TURN_GAIN * angle_to(state, 0.0, symmetry=1)
    return action(state, velocity, gripper, turn if velocity.any() else 0.0)


def is_beside(state: SceneState, name: str) -> bool:
    """Whether the hand has not yet risen from an object: another thing is carried past it higher than that."""
    thing = state.position(name)
    return motions.is_beside(state, thing, radius=0.05, height=float(thing[2]) + 0.07)

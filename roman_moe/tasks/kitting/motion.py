"""What the demonstrators of all skills share: how high the hand passes, and when it is clear of a thing."""

from __future__ import annotations

from roman_moe.core.state import SceneState
from roman_moe.sim import motions
from roman_moe.sim.task import Vector

TRANSIT = 0.06  # [m] height of the hand at which it passes over everything on the table


def grasp(state: SceneState, point: Vector, angle: float) -> Vector:
    """Approach a point with open fingers, turned to an angle [rad], and close them there."""
    return motions.grasp_turned(state, point, angle, TRANSIT)


def retreat(state: SceneState) -> Vector:
    """Let go, then climb and go home, turned back as at home."""
    return motions.retreat_turned(state, TRANSIT)


def is_beside(state: SceneState, name: str) -> bool:
    """Whether the hand has not yet risen from an object: another thing is carried past it higher than that."""
    thing = state.position(name)
    return motions.is_beside(state, thing, radius=0.05, height=float(thing[2]) + 0.07)

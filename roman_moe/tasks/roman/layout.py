"""What the skills share: the scale of the laboratory, where things are in it, and what can be seen of its state.

ROMAN's world spans 1.5 m and its hand floats; an arm's does not. Furniture, objects, travels and start ranges are all
scaled by `SCALE`; sensor noise, time limits and forces are not. Positions themselves are read from the model, which
is the one place where they are decided (`assets/scene.xml`, docs/lab.md). All in metres, base frame.
"""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.state import SceneState
from roman_moe.sim.world import World

SCALE = 0.6
REST_GAP = 0.0005  # [m] above the surface on which a thing is put, so that it starts without overlap

DRAWER_TRAVEL = 0.30 * SCALE  # [m]
DRAWER_CLOSED_Y = 0.20  # of the handle
DOOR_RANGE = math.radians(120.0)  # [rad]
HINGE = np.array([0.268, -0.219])
HANDLE_CLOSED_ANGLE = math.atan2(0.117, 0.172)
RACK_HEIGHT = 0.084  # of the point on its handle above its underside

LEAVING_SIDE = 0.21  # [m] |y| beyond it the hand is over the drawer unit or the belt
SLOTS = 4  # of the box in the drawer, in which the vial can stand
HOLES = 8  # of the rack, likewise
LOW_ENOUGH = 0.02  # [m] above where a thing comes to rest it counts as put down, as long as the hand has left it


def drawer_opening(state: SceneState) -> float:
    """How far the drawer is open [m]."""
    return float(DRAWER_CLOSED_Y - state.position("drawer_handle")[1])


def door_angle(state: SceneState) -> float:
    """Opening angle of the cabinet door [rad]."""
    offset = state.position("door_handle")[:2] - HINGE
    return HANDLE_CLOSED_ANGLE - math.atan2(offset[1], offset[0])


def is_dropped(state: SceneState, tolerance: float = 0.005) -> bool:
    """Whether the cover lies on the drop zone or `tolerance` [m] above it (its handle is 26 mm above its underside)."""
    offset = state.position("cover") - state.position("drop_zone")
    return bool(abs(offset[0]) < 0.12 and abs(offset[1]) < 0.10 and -0.01 < offset[2] < 0.026 + tolerance)


def is_placed(state: SceneState, tolerance: float = 0.003) -> bool:
    """Whether the rack stands, to within `tolerance` [m], on its plate or on the conveyor behind it."""
    offset = state.position("rack") - state.position("rack_target")
    return bool(abs(offset[0]) < 0.06 and -0.25 < offset[1] < 0.04 and abs(offset[2] - RACK_HEIGHT) < tolerance)


def is_inserted(state: SceneState) -> bool:
    """Whether the vial stands in a hole of the rack (or falls into it)."""
    offset = state.position("vial") - state.position("rack")
    return bool(abs(offset[0]) < 0.068 and abs(offset[1]) < 0.042 and offset[2] < -0.012)


def rack_distance(world: World) -> float:
    """Signed distance along the conveyor from its end to the rack [m]."""
    return float(world.site("rack")[1] - world.site("conveyor_end")[1])


def put_vial(world: World, site: str) -> None:
    """Stand the vial on the bottom of a slot or hole."""
    half_height = float(world.model.geom("vial").size[2])
    world.put("vial", world.site(site) + [0.0, 0.0, half_height + REST_GAP])

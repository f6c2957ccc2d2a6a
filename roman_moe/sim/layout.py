"""Where things are in the lab and how far they move: ROMAN's numbers and the scale that brings them within reach.

ROMAN's world spans 1.5 m and its hand floats; an arm's does not. Furniture, objects, travels and start ranges are all
scaled by `SCALE`; sensor noise, time limits and forces are not. Positions themselves are read from the model, which
is the one place where they are decided (`assets/lab.xml`, docs/lab.md).
"""

from __future__ import annotations

import math

SCALE = 0.6

HAND_RANGE = (0.3 * SCALE, 0.3 * SCALE, 0.2 * SCALE)
"""Start of the hand: home +- this along x, y, z [m] (ROMAN: +-0.3, +-0.3 horizontally, +-0.2 vertically)."""

DRAWER_TRAVEL = 0.30 * SCALE  # [m]
DRAWER_OPEN_SHARE = 0.95  # success of pull
DOOR_RANGE = math.radians(120.0)  # [rad]
DOOR_OPEN_SHARE = 0.85  # success of rotate_open: 102 deg
PUSH_SHARE = 0.05  # success of push: what remains of the initial distance
SCENARIO_PUSH_TOLERANCE = 0.15 * 0.30 * SCALE  # [m] of the rack from the conveyor's end, for the whole task

HOME_TOLERANCE = 0.10 * SCALE  # [m] a skill ends with the hand this close to home
SCENARIO_HOME_TOLERANCE = 0.30 * SCALE  # [m] likewise the whole task
REACH_LIMIT = 1.5 * SCALE  # [m] an episode fails when the hand is farther from home

COVER_RANGE = (0.10 * SCALE, 0.05 * SCALE)  # [m] about the drop zone, x and y
RACK_RANGE_INSERT = (0.05 * SCALE, 0.025 * SCALE)  # [m] about the plate
RACK_RANGE_PUSH = (0.05 * SCALE, 0.02 * SCALE)  # [m]
RACK_PUSHED = (0.27 * SCALE, 0.30 * SCALE)  # [m] along -y, start of button

VIAL_SLOTS = 4
RACK_HOLES = 8

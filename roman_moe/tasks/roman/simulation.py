"""ROMAN's laboratory in simulation: what holds for all of its skills.

Start distributions, conditions and limits follow ROMAN's public code (`SceneManagement.cs`, `Expert*.cs` and the
manipulation network's) with lengths scaled by `layout.SCALE`.
"""

from __future__ import annotations

import math

from roman_moe.sim.task import SimTask
from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import SCALE, rack_distance

PUSH_TOLERANCE = 0.15 * 0.30 * SCALE  # [m] of the rack from the conveyor's end, for the whole task
TABLE_TOP = -0.12  # [m]


class Laboratory(SimTask):
    """ROMAN's laboratory."""

    scene = "assets/scene.xml"
    placing = ("pull", "rotate_open", "pick_and_drop", "pick_and_place", "push", "pick_and_insert", "button")
    hand_range = (0.3 * SCALE, 0.3 * SCALE, 0.2 * SCALE)
    home_tolerance = 0.10 * SCALE
    scenario_home_tolerance = 0.30 * SCALE
    reach_limit = 1.5 * SCALE
    loose = ("cover", "rack", "vial")
    floor = TABLE_TOP - 0.02
    tilt_limit = math.cos(math.radians(60.0))  # what lies on its side cannot be picked up without turning the hand
    workspace = 0.82

    def achieved(self, world: World) -> bool:
        """The button has been pressed, with the rack at the conveyor's end and the vial in it."""
        return (
            world.skills["button"].achieved(world)
            and abs(rack_distance(world)) <= PUSH_TOLERANCE
            and world.skills["pick_and_insert"].achieved(world)
        )

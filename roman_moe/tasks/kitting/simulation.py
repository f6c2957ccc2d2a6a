"""The kitting station in simulation: what holds for all of its skills."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.sim.task import SimTask, Start
from roman_moe.sim.world import World
from roman_moe.tasks.kitting import layout


class Station(SimTask):
    """The kitting station."""

    scene = "assets/scene.xml"
    arm = "ur5e"
    hand_range = layout.HAND_RANGE
    home_tolerance = 0.06
    scenario_home_tolerance = 0.10
    reach_limit = 0.8
    loose = ("tile", "pin")
    floor = layout.TABLE_TOP - 0.02
    tilt_limit = math.cos(math.radians(60.0))  # what lies on its side cannot be picked up by a hand that points down
    workspace = 0.75

    def place(self, world: World, rng: np.random.Generator, start: Start) -> None:
        """The tray first: what is done stands in it."""
        world.put("tray", layout.TRAY_AREA.draw(rng), rng.uniform(-layout.TRAY_ANGLE, layout.TRAY_ANGLE))
        world.update_kinematics()
        super().place(world, rng, start)

"""Where the vial can stand."""

from __future__ import annotations

from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import REST_GAP

SLOTS = 4  # of the box in the drawer
HOLES = 8  # of the rack


def put_vial(world: World, site: str) -> None:
    """Stand the vial on the bottom of a slot or hole."""
    half_height = float(world.model.geom("vial").size[2])
    world.put("vial", world.site(site) + [0.0, 0.0, half_height + REST_GAP])

"""The first task in simulation."""

from __future__ import annotations

from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.world import World

TASK = load_sim_task("roman")
"""The first task."""


def roman_world(control_rate: float | None = None) -> World:
    """A world of it."""
    return World(TASK, control_rate)

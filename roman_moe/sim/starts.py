"""Starts of the first task, for what does not yet take the task at hand."""

from __future__ import annotations

from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.task import Start


def skill_start(skill: str) -> Start:
    """Starts of one skill alone."""
    return load_sim_task("roman").start(skill)


def scenario_start(scenario: int) -> Start:
    """Starts of a scenario."""
    return load_sim_task("roman").start(scenario)

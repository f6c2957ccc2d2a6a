"""Simulation of a task with a real arm's dynamics: worlds, episodes, Gymnasium environments. MuJoCo."""

from typing import TYPE_CHECKING

from roman_moe.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from roman_moe.sim.env import register
    from roman_moe.sim.episode import run_episode
    from roman_moe.sim.registry import load_sim_task
    from roman_moe.sim.task import SimSkill, SimTask
    from roman_moe.sim.world import World

__all__ = ["SimSkill", "SimTask", "World", "load_sim_task", "register", "run_episode"]
__getattr__ = lazy_exports(
    __name__,
    SimSkill="task",
    SimTask="task",
    World="world",
    load_sim_task="registry",
    register="env",
    run_episode="episode",
)

"""The skills of any task as a suite: each has the starts, the judge and the reward of its expert's own training.

All of them are observed through all features of the scene, of which an expert sees a part.
"""

from __future__ import annotations

import os

from roman_moe.core.features import feature_layout
from roman_moe.core.tasks import load_spec
from roman_moe.suites.suite import Episodes, Integers, Suite, VectorEpisodes

TIME_LIMIT, LEFT = 15.0, 7.0
"""An episode takes this long [s], and this long after success first counts: as config/training/fast.yaml has it."""
SUCCESS, PROGRESS = 50.0, 10.0
"""Reward of success, and of the way there: the recipes' numbers, scaled for rewards of a step of about 0.1."""


def skill_suite(task: str | os.PathLike[str]) -> Suite:
    """Suite of a task, given by its name or folder.

    Raises:
        ConfigError: if there is no such task, or naming the mistake in its task.yaml.
    """
    spec = load_spec(task)
    names = feature_layout(spec).names
    seconds = max(TIME_LIMIT, *(skill.min_time + LEFT for skill in spec.skills.values()))

    def episodes(tasks: Integers) -> Episodes:
        from roman_moe.sim.env import TaskEnv
        from roman_moe.sim.registry import load_sim_task
        from roman_moe.sim.reward import TaskReward
        from roman_moe.sim.vector_env import TaskVectorEnv

        simulation, reward = load_sim_task(task), TaskReward(SUCCESS, PROGRESS)
        starts = [simulation.start(spec.skill_names[number]) for number in tasks]
        envs = [TaskEnv(start, names, reward=reward, time_limit=seconds) for start in starts]
        return VectorEpisodes(TaskVectorEnv(envs, threads=1), "is_success")

    horizon = round(seconds * spec.control_rate)
    return Suite(spec.name, spec.skill_names, len(names), spec.action.size, horizon, episodes, spec=spec)

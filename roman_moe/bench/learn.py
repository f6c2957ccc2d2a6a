"""How much of hybrid learning's time goes into physics: PPO, GAIL and cloning as they train an expert, on one core."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from roman_moe.core.features import feature_layout
from roman_moe.core.paths import config_path
from roman_moe.learning.algorithms.ppo import HybridPPO
from roman_moe.learning.algorithms.training_envs import ExpertEnvs, training_env
from roman_moe.learning.policies.mlp import MLPPolicy
from roman_moe.learning.recipes.hybrid import load_hybrid_recipe
from roman_moe.learning.samples import Samples
from roman_moe.sim.task import SimTask

DEMONSTRATED = 3200  # [samples] 20 episodes of 8 s: as many as an expert is trained with


def measure(task: SimTask, seconds: float = 10.0, seed: int = 0) -> dict[str, Any]:
    """Measure updates of the shipped recipe for about `seconds` [s], from random weights and made-up demonstrations.

    The expert is that of the first skill that observes most.

    Returns:
        `steps_per_s`: environment steps a second of learning; `physics_share`: of the wall time that was spent inside
        MuJoCo's `mj_step`; `stepping_share`: inside the environments (arm control, physics, noise, rewards, judge);
        `not_physics_share`: the rest of the wall time.
    """
    rng = np.random.default_rng(seed)
    spec, layout = task.spec, feature_layout(task.spec)
    skill = max(spec.skills, key=lambda name: len(layout.observations[name]))
    features = layout.observations[skill]
    recipe = load_hybrid_recipe(config_path("training/fast.yaml"), spec).networks[skill]
    envs = [training_env(task.start(skill), features, recipe) for _ in range(recipe.ppo.environments)]
    training_envs = ExpertEnvs(envs, threads=1)
    demonstrations = Samples(
        spec,
        skill,
        rng.normal(size=(DEMONSTRATED, len(features))).astype(np.float32),
        rng.uniform(-1.0, 1.0, (DEMONSTRATED, spec.action.size)).astype(np.float32),
        np.zeros(DEMONSTRATED, np.intp),
        min(recipe.reinforcement.noise_bounds),
    )
    learner = HybridPPO(MLPPolicy(spec, skill, recipe.clone.hidden), training_envs, recipe, demonstrations, seed)
    learner.begin(seed)
    learner.update()  # the first trains the critic alone
    steps, stepping, began = learner.steps, training_envs.stepping_s, time.perf_counter()
    with _timed_physics() as physics:
        while time.perf_counter() - began < seconds:
            learner.update()
    wall = time.perf_counter() - began
    training_envs.close()
    return {
        "steps_per_s": round((learner.steps - steps) / wall),
        "physics_share": round(physics[0] / wall, 3),
        "stepping_share": round((training_envs.stepping_s - stepping) / wall, 3),
        "not_physics_share": round(1.0 - physics[0] / wall, 3),
    }


@contextlib.contextmanager
def _timed_physics() -> Iterator[list[float]]:
    """Adds up the time inside `mj_step` [s]."""
    total = [0.0]
    step = mujoco.mj_step

    def timed(*args: Any, **kwargs: Any) -> None:
        began = time.perf_counter()
        step(*args, **kwargs)
        total[0] += time.perf_counter() - began

    mujoco.mj_step = timed
    try:
        yield total
    finally:
        mujoco.mj_step = step

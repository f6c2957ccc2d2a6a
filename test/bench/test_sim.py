"""The simulation's benchmark measures what it says: the same physics on both sides, and all its figures."""

import numpy as np

from roman_moe.bench.sim import _stretch, measure
from roman_moe.sim.env import SkillEnv


def test_bare_calls_repeat_the_environments_physics():
    env = SkillEnv("roman", "push")
    _stretch(env, np.random.default_rng(0))
    bare = env.world.physics_state()
    # The same actions once more through the environment, from the same start.
    rng = np.random.default_rng(0)
    env.reset(seed=int(rng.integers(2**31)))
    for action in rng.uniform(-1.0, 1.0, (100, 4)).astype(np.float32):
        env.step(action)
    np.testing.assert_allclose(env.world.physics_state(), bare, atol=1e-6)


def test_all_figures_are_there_and_make_sense():
    figures = measure(seconds=0.5)
    assert 0.2 < figures["raw_physics_ratio"] < 1.2
    assert figures["realtime_factor"] > 1.0
    assert figures["env_steps_per_s"] > 10

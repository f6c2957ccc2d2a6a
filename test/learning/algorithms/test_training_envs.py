"""Environments to train in: they follow from a seed, start anew after an end, and blend as the controller does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from specs import FEATURES, OBSERVATIONS, ROMAN, SKILLS, feature_indices
from worlds import TASK

from roman_moe.control.blend import blend
from roman_moe.control.rates import Rates
from roman_moe.core.spec import GATE
from roman_moe.learning.algorithms.training_envs import ExpertEnvs, GateEnvs
from roman_moe.learning.policies.mlp import MLPPolicy, gate_weights
from roman_moe.sim.env import TaskEnv


def experts() -> list[MLPPolicy]:
    torch.manual_seed(0)
    return [MLPPolicy(ROMAN, skill, (8,)).eval().requires_grad_(False) for skill in SKILLS]


def button_envs(count: int = 3, time_limit: float = 60.0) -> ExpertEnvs:
    envs = [TaskEnv(TASK.start("button"), OBSERVATIONS["button"], time_limit=time_limit) for _ in range(count)]
    return ExpertEnvs(envs, threads=2)


def test_what_follows_depends_on_the_seed_alone():
    training = button_envs()
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 3, 4)).astype(np.float32)

    def episode(seed: int) -> np.ndarray:
        return np.array([training.begin(seed), *(training.step(action)[0] for action in actions)])

    first, other, again = episode(1), episode(2), episode(1)
    training.close()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0, 0], first[0, 1])  # environments differ


def test_an_episode_cut_short_says_so_and_starts_anew():
    training = button_envs(count=1, time_limit=0.15)
    training.begin(0)
    ends = []
    for _ in range(6):
        before, _, done, infos = training.step(np.zeros((1, 4), np.float32))
        ends.append(bool(done[0]))
        if done[0]:
            assert infos[0]["TimeLimit.truncated"]
            assert not np.array_equal(infos[0]["terminal_observation"], before[0])
    training.close()
    assert ends == [False, False, True] * 2
    assert training.ticks == 6


def test_the_gate_moves_the_arm_as_the_blender_would():
    team = experts()
    envs = [TaskEnv(TASK.start(6), FEATURES) for _ in range(2)]
    training = GateEnvs(ROMAN, envs, 1, team, Rates(20.0, 20.0))
    training.begin(3)
    raw = np.random.default_rng(0).uniform(-0.5, 1.5, (2, 7)).astype(np.float32)
    seen = training._last.copy()
    sent = []
    step = training._labs.step
    training._labs.step = lambda actions, active: (sent.append(actions), step(actions, active))[1]
    observations = training.step(raw)[0]
    training.close()
    weights = gate_weights(torch.from_numpy(raw)).numpy()
    for row in range(2):
        answers = [e(torch.from_numpy(seen[row : row + 1, feature_indices(e.features)])).numpy()[0] for e in team]
        np.testing.assert_allclose(sent[0][row], blend(weights[row], np.array(answers)), atol=1e-6)
    assert observations.shape == (2, len(OBSERVATIONS[GATE]))


def test_weights_are_held_between_the_gates_decisions_but_not_into_the_next_episode():
    envs = [TaskEnv(TASK.start(0), FEATURES, time_limit=limit) for limit in (0.15, 60.0)]
    training = GateEnvs(ROMAN, envs, 1, experts(), Rates(20.0, 10.0))
    training.begin(0)
    action = np.zeros((2, 7), np.float32)
    assert training.step(action)[2].tolist() == [False, False]
    assert training.step(action)[2].tolist() == [True, False]
    training.close()
    # The first environment ended in the first of the second decision's two ticks and then waited for a new decision.
    assert training.ticks == 7
    assert [env.world.stamp_ns for env in envs] == [0, 200_000_000]


def test_unused_hooks_of_the_vector_interface_do_not_pretend():
    training = button_envs(count=1)
    for call in (lambda: training.set_attr("ticks", 1), lambda: training.env_method("reset")):
        with pytest.raises(NotImplementedError):
            call()
    training.close()

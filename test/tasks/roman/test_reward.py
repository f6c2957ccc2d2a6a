"""Extrinsic reward: progress is a difference of bounded potentials, so a way there and back earns nothing."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import FLAGS, OBJECTS, ROMAN, SKILLS
from worlds import TASK

from roman_moe.core.state import SceneState
from roman_moe.evaluation.controllers import OracleController
from roman_moe.sim.env import ScenarioEnv, SkillEnv
from roman_moe.sim.episode import run_episode
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.reward import TaskReward, completion, potential


def potentials(lab, start, seed):
    """Of every tick of an oracle's episode, the last state included."""
    values = []
    result = run_episode(
        lab,
        OracleController(TASK, start.skill),
        start,
        seed,
        TruthPoses(0.0),
        on_tick=lambda scene, step: values.append(potential(TASK, lab.state, start.skill)),
    )
    assert result.success
    return np.array([*values, potential(TASK, lab.state, start.skill)])


@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.0, 2.0))
def test_potentials_stay_within_0_and_1_wherever_things_are(seed, spread):
    rng = np.random.default_rng(seed)
    state = SceneState(
        spec=ROMAN,
        stamp_ns=0,
        hand_position=rng.normal(scale=spread, size=3),
        hand_velocity=np.zeros(3),
        finger_opening=0.0,
        finger_forces=np.zeros(2),
        object_positions=rng.normal(scale=spread, size=(len(OBJECTS), 3)),
        flags=rng.random(len(FLAGS)) < 0.5,
    )
    for skill in SKILLS:
        assert 0.0 <= completion(TASK, state, skill) <= 1.0
        assert 0.0 <= potential(TASK, state, skill) <= 1.0
    assert 0.0 <= potential(TASK, state, None) <= 1.0


@pytest.mark.parametrize("skill", SKILLS)
def test_a_skills_potential_rises_along_its_episode(lab, skill):
    for seed in range(2):
        values = potentials(lab, TASK.start(skill), seed)
        assert values[-1] > 0.95
        assert values[-1] > values[0] + 0.35
        # Over a rim or round a corner the way leads off for a while, but never far.
        assert np.max(np.maximum.accumulate(values) - values) < 0.08
        assert completion(TASK, lab.state, skill) > 0.95


def test_the_whole_tasks_potential_rises_skill_after_skill(lab):
    values = potentials(lab, TASK.start(6), 0)
    assert values[0] < 0.25
    assert values[-1] > 0.98
    assert np.max(np.maximum.accumulate(values) - values) < 0.05


def test_coming_nearer_to_what_has_to_be_grasped_counts(lab):
    state = lab.reset(TASK.start("pull"), np.random.default_rng(0))
    far, near = (
        dataclasses.replace(state, hand_position=state.position("drawer_handle") + [0.0, 0.0, height])
        for height in (0.10, 0.02)
    )
    assert potential(TASK, near, "pull") > potential(TASK, far, "pull") > 0.0


@pytest.mark.parametrize("whole", [False, True])
def test_progress_adds_up_to_the_potential_won_whatever_the_way(whole):
    reward = TaskReward(success=0.0, progress=4.0)
    env = ScenarioEnv("roman", 6, reward=reward) if whole else SkillEnv("roman", "pull", reward=reward)
    env.reset(seed=1)
    start, oracle, earned = potential(TASK, env.world.state, env.start.skill), TASK.skills["pull"], []
    for tick in range(100):
        if tick == 70:
            env.world.data.joint("drawer").qpos = 0.02  # what was won is lost again
        earned.append(env.step(oracle.demonstrate(env.world.state))[1])
    assert max(earned) > 0.005
    assert earned[70] == min(earned) < -0.1
    assert sum(earned) == pytest.approx(4.0 * (potential(TASK, env.world.state, env.start.skill) - start), abs=1e-9)


def test_a_solved_episode_earns_its_progress_and_success_once():
    env = SkillEnv("roman", "button", reward=TaskReward(success=10.0, progress=4.0))
    env.reset(seed=3)
    start, oracle, rewards, done = potential(TASK, env.world.state, "button"), TASK.skills["button"], [], False
    while not done:
        _, reward, done, truncated, _ = env.step(oracle.demonstrate(env.world.state))
        assert not truncated
        rewards.append(reward)
    assert sum(rewards) == pytest.approx(10.0 + 4.0 * (potential(TASK, env.world.state, "button") - start), abs=1e-9)
    assert rewards[-1] > 9.9
    assert max(rewards[:-1]) < 4.0

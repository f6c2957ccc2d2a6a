"""Gymnasium environments: registered, checked by Gymnasium, repeatable, alike one by one and side by side."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import roman_moe.lab.env
from roman_moe.core.features import FEATURES, OBSERVATIONS
from roman_moe.core.skills import SKILLS
from roman_moe.lab.noise import PoseNoise
from roman_moe.lab.oracle import SkillOracle

assert roman_moe.lab.env  # imported for its registrations


@pytest.mark.filterwarnings("ignore:.*Box observation space (min|max)imum value is")
@pytest.mark.parametrize("name", (*SKILLS, "scenario"))
def test_every_environment_passes_gymnasiums_checker(name):
    env = gymnasium.make(f"roman_moe/{name}-v0")
    check_env(env.unwrapped, skip_render_check=True)
    assert env.observation_space.shape == (len(OBSERVATIONS.get(name, FEATURES)),)
    env.close()


def test_make_imports_by_module_name():
    assert gymnasium.make("roman_moe.lab.env:roman_moe/button-v0").unwrapped.start.skill == "button"


def test_the_oracle_earns_the_reward_once_at_the_end():
    env = gymnasium.make("roman_moe/button-v0", noise=PoseNoise(0.0)).unwrapped
    env.reset(seed=3)
    oracle, rewards, done = SkillOracle("button"), [], False
    while not done:
        _, reward, terminated, truncated, info = env.step(oracle.action(env.lab.state))
        rewards.append(reward)
        done = terminated or truncated
    assert (sum(rewards), rewards[-1], terminated, truncated, info["outcome"]) == (1.0, 1.0, True, False, "success")


def test_an_episode_is_truncated_at_its_time_limit():
    env = gymnasium.make("roman_moe/push-v0").unwrapped
    env.reset(seed=0)
    for tick in range(1, 1601):
        _, reward, terminated, truncated, info = env.step(np.zeros(4, np.float32))
        assert (terminated, reward) == (False, 0.0)
        assert truncated == (tick == 1600)
    assert info["outcome"] == "time_limit"


def test_side_by_side_gives_what_one_by_one_gives_for_any_number_of_threads():
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 3, 4)).astype(np.float32)
    runs = []
    for threads in (1, 3):
        envs = gymnasium.make_vec("roman_moe/pick_and_place-v0", num_envs=3, threads=threads)
        first, _ = envs.reset(seed=10)
        runs.append(np.array([first, *(envs.step(action)[0] for action in actions)]))
        envs.close()
    np.testing.assert_array_equal(runs[0], runs[1])
    for i in range(3):
        env = gymnasium.make("roman_moe/pick_and_place-v0").unwrapped
        single = [env.reset(seed=10 + i)[0], *(env.step(action[i])[0] for action in actions)]
        np.testing.assert_array_equal(runs[0][:, i], np.array(single))


def test_side_by_side_an_ended_episode_starts_anew_and_keeps_its_last_observation():
    envs = gymnasium.make_vec("roman_moe/button-v0", num_envs=2)
    envs.reset(seed=0)
    envs.unwrapped.envs[1].lab.data.joint("rack").qpos[:3] = [1.5, 0.0, 0.5]
    observations, _, terminated, truncated, infos = envs.step(np.zeros((2, 4), np.float32))
    assert (terminated.tolist(), truncated.tolist()) == ([False, True], [False, False])
    assert infos["final_obs"][0] is None
    assert infos["final_obs"][1].shape == observations[1].shape
    assert not np.array_equal(infos["final_obs"][1], observations[1])
    assert infos["outcome"].tolist() == ["running", "out_of_reach"]
    envs.close()

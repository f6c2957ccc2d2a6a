"""Gymnasium environments: registered, checked by Gymnasium, repeatable, alike one by one and side by side."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import roman_moe.lab.env
from roman_moe.core.features import FEATURES, OBSERVATIONS, feature_indices, feature_vector
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


def test_an_episode_is_truncated_at_a_shorter_time_limit_too():
    env = gymnasium.make("roman_moe/push-v0", time_limit=1.0).unwrapped
    env.reset(seed=0)
    steps = [env.step(np.zeros(4, np.float32)) for _ in range(20)]
    assert [truncated for _, _, _, truncated, _ in steps] == [False] * 19 + [True]
    assert not any(terminated for _, _, terminated, _, _ in steps)
    assert [info["outcome"] for *_, info in steps[-2:]] == ["running", "time_limit"]


def test_one_of_several_noises_is_drawn_for_a_whole_episode():
    env = gymnasium.make("roman_moe/push-v0", noise=[PoseNoise(0.0), PoseNoise(0.02)]).unwrapped
    columns, kinds = feature_indices(env.features), set()
    for seed in range(12):
        observations = [env.reset(seed=seed)[0]]
        truths = [feature_vector(env.lab.state)[columns]]
        for _ in range(10):
            observations.append(env.step(np.zeros(4, np.float32))[0])
            truths.append(feature_vector(env.lab.state)[columns])
        noisy = np.abs(np.array(observations) - np.array(truths)).max(axis=1) > 1e-6  # what float32 leaves
        assert noisy.all() or not noisy.any()
        kinds.add(bool(noisy[0]))
    assert kinds == {True, False}


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.5, 4, 16), (1.0, 20, 20)])
def test_the_share_of_disturbed_episodes_is_the_one_asked_for(share, least, most):
    env, shoved = gymnasium.make("roman_moe/push-v0", disturbed_share=share).unwrapped, 0
    for seed in range(20):
        env.reset(seed=seed)
        before = env.lab.state.position("rack")
        for _ in range(60):
            env.step(np.zeros(4, np.float32))
        shoved += np.linalg.norm(env.lab.state.position("rack") - before) > 0.002
    assert least <= shoved <= most


def test_the_share_of_handed_over_episodes_is_the_one_asked_for():
    env = gymnasium.make("roman_moe/pick_and_place-v0", handed_over_share=0.5).unwrapped
    states = [(env.reset(seed=seed), env.lab.state)[1] for seed in range(20)]
    at_door = [np.linalg.norm(state.hand_position - state.position("door_handle")) < 0.16 for state in states]
    assert 4 <= sum(at_door) <= 16


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


def test_side_by_side_what_is_not_active_does_not_move():
    envs = gymnasium.make_vec("roman_moe/push-v0", num_envs=3).unwrapped
    resting = gymnasium.make("roman_moe/push-v0").unwrapped
    first, _ = envs.reset(seed=10)
    resting.reset(seed=11)
    actions = np.random.default_rng(0).uniform(-1, 1, (6, 3, 4)).astype(np.float32)
    before = envs.envs[1].lab.physics_state()
    for action in actions[:4]:
        observations, rewards, terminated, truncated, infos = envs.step(action, np.array([True, False, True]))
        np.testing.assert_array_equal(observations[1], first[1])
        assert (rewards[1], terminated[1], truncated[1], infos["outcome"][1]) == (0.0, False, False, None)
        assert infos["outcome"][0] == infos["outcome"][2] == "running"
    np.testing.assert_array_equal(envs.envs[1].lab.physics_state(), before)
    assert np.all(observations[[0, 2], :3] != first[[0, 2], :3])
    np.testing.assert_array_equal(envs.step(actions[4], np.zeros(3, bool))[0], observations)
    for action in actions[4:]:  # once active again it goes on as if it had never rested
        np.testing.assert_array_equal(envs.step(action)[0][1], resting.step(action[1])[0])
    envs.close()


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

"""Gymnasium environments: registered as plain data, checked by Gymnasium, repeatable, copied by pickle."""

import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from specs import FEATURES, OBSERVATIONS, SKILLS, feature_indices, feature_vector
from worlds import TASK

import roman_moe.sim.env
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.sim.channel import ChannelQuality
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.reward import TaskReward

assert roman_moe.sim.env  # imported for its registrations

CHOSEN = {
    "poses": [TruthPoses(0.0), TruthPoses(0.01, "gaussian")],
    "reward": TaskReward(2.0, 1.0),
    "channels": ChannelQuality(1, 0.2),
    "disturbed_share": 1.0,
    "time_limit": 5.0,
}


def same_steps(one, other, ticks=30):
    """Whether two environments answer alike from here on."""
    actions = np.random.default_rng(0).uniform(-1, 1, (ticks, 4)).astype(np.float32)
    for action in actions:
        (seen, *rest), (seen_too, *rest_too) = one.step(action), other.step(action)
        np.testing.assert_array_equal(seen, seen_too)
        assert rest == rest_too


@pytest.mark.filterwarnings("ignore:.*Box observation space (min|max)imum value is")
@pytest.mark.parametrize("name", (*SKILLS, "scenario"))
def test_every_environment_passes_gymnasiums_checker(name):
    env = gymnasium.make(f"roman/{name}-v0")
    check_env(env.unwrapped, skip_render_check=True)
    assert env.observation_space.shape == (len(OBSERVATIONS.get(name, FEATURES)),)
    env.close()


def test_make_imports_by_module_name():
    assert gymnasium.make("roman_moe.sim.env:roman/button-v0").unwrapped.start.skill == "button"


@pytest.mark.parametrize(("name", "chosen"), [*((name, {}) for name in (*SKILLS, "scenario")), ("push", CHOSEN)])
def test_a_spec_goes_through_json_and_pickle(name, chosen):
    env = gymnasium.make(f"roman/{name}-v0", **chosen)
    for spec in (EnvSpec.from_json(env.spec.to_json()), pickle.loads(pickle.dumps(env.spec))):
        again = gymnasium.make(spec)
        np.testing.assert_array_equal(env.reset(seed=3)[0], again.reset(seed=3)[0])
        same_steps(env, again)
    vector = gymnasium.make_vec(f"roman/{name}-v0", num_envs=2, **chosen)
    for spec in (EnvSpec.from_json(vector.spec.to_json()), pickle.loads(pickle.dumps(vector.spec))):
        again = gymnasium.make_vec(spec)
        np.testing.assert_array_equal(vector.reset(seed=3)[0], again.reset(seed=3)[0])
        again.close()
    vector.close()


def test_a_pickled_environment_goes_on_from_the_same_moment():
    env = gymnasium.make("roman/push-v0", **CHOSEN)
    env.reset(seed=5)
    for _ in range(10):
        env.step(np.full(4, 0.3, np.float32))
    same_steps(env, pickle.loads(pickle.dumps(env)))


@pytest.mark.filterwarnings("ignore:.*render_mode='depth'")
def test_an_unknown_render_mode_and_a_missing_display_are_one_line_at_once(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="^unknown render mode 'depth': expected one of human, rgb_array, None$"):
        gymnasium.make("roman/push-v0", render_mode="depth")
    with pytest.raises(RomanError, match="viewer cannot open: .*it needs a display$"):
        gymnasium.make("roman/push-v0", render_mode="human")


def test_the_viewer_shows_every_step_and_closes_with_the_environment(monkeypatch):
    seen = []

    class Window:
        def __init__(self, lab):
            self.lab = lab

        def update(self):
            seen.append(self.lab.stamp_ns)

        def close(self):
            seen.append("closed")

    monkeypatch.setattr("roman_moe.sim.env.Viewer", Window)
    env = gymnasium.make("roman/push-v0", render_mode="human")
    env.reset(seed=0)
    env.step(np.zeros(4, np.float32))
    env.step(np.zeros(4, np.float32))
    copy = pickle.loads(pickle.dumps(env))  # without a window of its own
    copy.step(np.zeros(4, np.float32))
    env.close()
    assert seen == [0, 50_000_000, 100_000_000, "closed"]


def test_an_import_alone_registers():
    program = "import gymnasium, roman_moe.sim.env as envs; gymnasium.register_envs(envs)\n"
    program += "print(gymnasium.make('roman/push-v0').unwrapped.start.skill)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "push\n"


def test_the_oracle_earns_the_reward_once_at_the_end():
    env = gymnasium.make("roman/button-v0", poses=TruthPoses(0.0)).unwrapped
    env.reset(seed=3)
    oracle, rewards, done = TASK.skills["button"], [], False
    while not done:
        _, reward, terminated, truncated, info = env.step(oracle.demonstrate(env.world.state))
        rewards.append(reward)
        done = terminated or truncated
    assert (sum(rewards), rewards[-1], terminated, truncated) == (1.0, 1.0, True, False)
    assert info == {"outcome": "success", "is_success": True}


def test_an_episode_is_truncated_at_its_time_limit():
    env = gymnasium.make("roman/push-v0").unwrapped
    env.reset(seed=0)
    for tick in range(1, 1601):
        _, reward, terminated, truncated, info = env.step(np.zeros(4, np.float32))
        assert (terminated, reward) == (False, 0.0)
        assert truncated == (tick == 1600)
    assert info == {"outcome": "time_limit", "is_success": False}


def test_an_episode_is_truncated_at_a_shorter_time_limit_too():
    env = gymnasium.make("roman/push-v0", time_limit=1.0).unwrapped
    env.reset(seed=0)
    steps = [env.step(np.zeros(4, np.float32)) for _ in range(20)]
    assert [truncated for _, _, _, truncated, _ in steps] == [False] * 19 + [True]
    assert not any(terminated for _, _, terminated, _, _ in steps)
    assert [info["outcome"] for *_, info in steps[-2:]] == ["running", "time_limit"]


def test_one_of_several_noises_is_drawn_for_a_whole_episode():
    env = gymnasium.make("roman/push-v0", poses=[TruthPoses(0.0), TruthPoses(0.02)]).unwrapped
    columns, kinds = feature_indices(env.features), set()
    for seed in range(12):
        observations = [env.reset(seed=seed)[0]]
        truths = [feature_vector(env.world.state)[columns]]
        for _ in range(10):
            observations.append(env.step(np.zeros(4, np.float32))[0])
            truths.append(feature_vector(env.world.state)[columns])
        noisy = np.abs(np.array(observations) - np.array(truths)).max(axis=1) > 1e-6  # what float32 leaves
        assert noisy.all() or not noisy.any()
        kinds.add(bool(noisy[0]))
    assert kinds == {True, False}


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.5, 4, 16), (1.0, 20, 20)])
def test_the_share_of_disturbed_episodes_is_the_one_asked_for(share, least, most):
    env, shoved = gymnasium.make("roman/push-v0", disturbed_share=share).unwrapped, 0
    for seed in range(20):
        env.reset(seed=seed)
        before = env.world.state.position("rack")
        for _ in range(60):
            env.step(np.zeros(4, np.float32))
        shoved += np.linalg.norm(env.world.state.position("rack") - before) > 0.002
    assert least <= shoved <= most


def test_the_share_of_handed_over_episodes_is_the_one_asked_for():
    env = gymnasium.make("roman/pick_and_place-v0", handed_over_share=0.5).unwrapped
    states = [(env.reset(seed=seed), env.world.state)[1] for seed in range(20)]
    at_door = [np.linalg.norm(state.hand_position - state.position("door_handle")) < 0.16 for state in states]
    assert 4 <= sum(at_door) <= 16

"""Several environments at once: Gymnasium's specification, checked against its own vector environments."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import roman_moe.sim.env
from roman_moe.core.errors import ConfigError

assert roman_moe.sim.env  # imported for its registrations

LIMITS = (0.1, 0.15, 0.3)
"""Time limits [s] of three environments, so that they do not end together."""


def assert_same(one, other):
    """Equal in structure, type, shape and value."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    elif isinstance(one, np.ndarray) and one.dtype == object:
        assert_same(tuple(one), tuple(other))
    else:
        assert np.asarray(one).dtype == np.asarray(other).dtype
        np.testing.assert_array_equal(one, other)


def transcript(envs, mode):
    """What a vector environment answers to the same actions, reset by hand where it does not reset itself."""
    answers = [envs.reset(seed=[7, 3, 5])]
    for actions in np.random.default_rng(0).uniform(-1, 1, (16, 3, 4)).astype(np.float32):
        answers.append(envs.step(actions))
        done = answers[-1][2] | answers[-1][3]
        if mode is AutoresetMode.DISABLED and done.any():
            answers.append(envs.reset(options={"reset_mask": done}))
    envs.close()
    return tuple(answers)


def ours(mode):
    envs = gymnasium.make_vec("roman/push-v0", num_envs=3, autoreset_mode=mode)
    for env, limit in zip(envs.envs, LIMITS, strict=True):
        env.time_limit = limit
    return envs


def gymnasiums(mode, vectorization, **more):
    kwargs = {"autoreset_mode": mode, **more}
    envs = gymnasium.make_vec("roman/push-v0", num_envs=3, vectorization_mode=vectorization, vector_kwargs=kwargs)
    envs.set_attr("time_limit", list(LIMITS))
    return envs


@pytest.mark.parametrize("mode", AutoresetMode)
def test_it_answers_as_gymnasiums_vector_environments_do(mode):
    answers = transcript(ours(mode), mode)
    ended = [answer for answer in answers if len(answer) == 5 and answer[3].any()]
    assert len({tuple(answer[3]) for answer in ended}) >= 3  # alone, and together
    if mode is AutoresetMode.SAME_STEP:
        assert all(answer[-1]["_final_info"].any() for answer in ended)
    assert_same(answers, transcript(gymnasiums(mode, "sync"), mode))
    if mode is AutoresetMode.SAME_STEP:  # once is enough: it starts three processes
        assert_same(answers, transcript(gymnasiums(mode, "async", context="spawn"), mode))


@pytest.mark.parametrize("mode", (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP))
def test_gymnasiums_wrapper_counts_its_episodes(mode):
    def episodes(envs):
        answers = transcript(RecordEpisodeStatistics(envs), mode)
        return [(e["l"].tolist(), e["r"].tolist()) for *_, info in answers if (e := info.get("episode"))]

    counted = episodes(ours(mode))
    assert counted
    assert counted == episodes(gymnasiums(mode, "sync"))


def test_without_autoreset_an_ended_environment_must_be_reset():
    envs, actions = ours(AutoresetMode.DISABLED), np.zeros((3, 4), np.float32)
    envs.reset(seed=0)
    envs.step(actions)
    assert envs.step(actions)[3].tolist() == [True, False, False]
    with pytest.raises(ResetNeeded, match=r"environments \[0\] have ended"):
        envs.step(actions)
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    assert envs.step(actions)[3].tolist() == [False, True, False]
    envs.close()


@pytest.mark.parametrize(
    ("chosen", "match"),
    [
        ({"seed": [1, 2]}, "2 seeds for 3 environments"),
        ({"options": {"reset_mask": np.zeros(3, bool)}}, "one at least is true"),
        ({"options": {"reset_mask": np.ones(2, bool)}}, "expected 3 booleans"),
        ({"options": {"reset_mask": np.ones(3)}}, "expected 3 booleans"),
    ],
)
def test_a_reset_that_does_not_fit_is_refused(chosen, match):
    envs = ours(AutoresetMode.DISABLED)
    with pytest.raises(ConfigError, match=match):
        envs.reset(**chosen)
    envs.close()


def test_side_by_side_gives_what_one_by_one_gives_for_any_number_of_threads():
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 3, 4)).astype(np.float32)
    runs = []
    for threads in (1, 3):
        envs = gymnasium.make_vec("roman/pick_and_place-v0", num_envs=3, threads=threads)
        first, _ = envs.reset(seed=10)
        runs.append(np.array([first, *(envs.step(action)[0] for action in actions)]))
        envs.close()
    np.testing.assert_array_equal(runs[0], runs[1])
    for i in range(3):
        env = gymnasium.make("roman/pick_and_place-v0").unwrapped
        single = [env.reset(seed=10 + i)[0], *(env.step(action[i])[0] for action in actions)]
        np.testing.assert_array_equal(runs[0][:, i], np.array(single))


def test_side_by_side_what_is_not_active_does_not_move():
    envs = gymnasium.make_vec("roman/push-v0", num_envs=3).unwrapped
    resting = gymnasium.make("roman/push-v0").unwrapped
    first, _ = envs.reset(seed=10)
    resting.reset(seed=11)
    actions = np.random.default_rng(0).uniform(-1, 1, (6, 3, 4)).astype(np.float32)
    before = envs.envs[1].world.physics_state()
    for action in actions[:4]:
        observations, rewards, terminated, truncated, infos = envs.step(action, np.array([True, False, True]))
        np.testing.assert_array_equal(observations[1], first[1])
        assert (rewards[1], terminated[1], truncated[1]) == (0.0, False, False)
        assert infos["outcome"].tolist() == ["running", None, "running"]
        assert infos["_outcome"].tolist() == infos["_is_success"].tolist() == [True, False, True]
    np.testing.assert_array_equal(envs.envs[1].world.physics_state(), before)
    assert np.all(observations[[0, 2], :3] != first[[0, 2], :3])
    np.testing.assert_array_equal(envs.step(actions[4], np.zeros(3, bool))[0], observations)
    for action in actions[4:]:  # once active again it goes on as if it had never rested
        np.testing.assert_array_equal(envs.step(action)[0][1], resting.step(action[1])[0])
    envs.close()


def test_side_by_side_an_ended_episode_starts_anew_and_keeps_its_last_observation():
    envs = gymnasium.make_vec("roman/button-v0", num_envs=2)
    envs.reset(seed=0)
    envs.unwrapped.envs[1].world.data.joint("rack").qpos[:3] = [1.5, 0.0, 0.5]
    observations, _, terminated, truncated, infos = envs.step(np.zeros((2, 4), np.float32))
    assert (terminated.tolist(), truncated.tolist()) == ([False, True], [False, False])
    assert infos["final_obs"][0] is None
    assert infos["final_obs"][1].shape == observations[1].shape
    assert not np.array_equal(infos["final_obs"][1], observations[1])
    assert infos["outcome"].tolist() == ["running", "running"]
    assert infos["final_info"]["outcome"].tolist() == [None, "out_of_reach"]
    assert infos["_final_info"].tolist() == infos["_final_obs"].tolist() == [False, True]
    envs.close()

"""Meta-World's suites, by the real package: run `make metaworld`, then `.venv-metaworld/bin/python -m pytest` this."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from roman_moe.core.errors import MissingDependencyError
from roman_moe.suites.catalogue import find_suite
from roman_moe.suites.metaworld import HORIZON, MT3, MT10
from roman_moe.suites.suite import Episodes, Floats, solved_episodes

INSTALLED = importlib.util.find_spec("metaworld") is not None
real = pytest.mark.skipif(not INSTALLED, reason="needs metaworld, which is in .venv-metaworld/ (make metaworld)")


@pytest.mark.skipif(INSTALLED, reason="metaworld is installed here")
def test_where_there_is_no_metaworld_one_line_says_what_to_do():
    for name in ("mt3", "mt10", "mt50"):
        with pytest.raises(
            MissingDependencyError, match=f"suite {name} needs metaworld.*run make metaworld, then .venv"
        ):
            find_suite(name)


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return find_suite("mt3").episodes(np.arange(3))


@real
def test_the_tasks_are_meta_worlds():
    import metaworld

    assert find_suite("mt3").tasks == MT3
    assert [*metaworld.MT10(seed=1).train_classes] == [*MT10]
    assert len(find_suite("mt50").tasks) == 50


@real
def test_episodes_follow_from_the_seed_whatever_came_before(episodes):
    first = episodes.reset(np.random.default_rng(0))
    actions = np.random.default_rng(1).uniform(-1.0, 1.0, (5, 3, 4))
    rewards = [episodes.step(action).rewards for action in actions]
    other = episodes.reset(np.random.default_rng(5))
    assert (first[:, -3:] != other[:, -3:]).any(axis=1).all()  # the goals, which are observed
    np.testing.assert_array_equal(first, episodes.reset(np.random.default_rng(0)))
    np.testing.assert_array_equal(rewards, [episodes.step(action).rewards for action in actions])


@real
def test_an_episode_ends_by_time_alone_and_what_it_led_to_is_its_own(episodes):
    before, ended = episodes.reset(np.random.default_rng(0)), []
    for _ in range(HORIZON + 1):
        outcome = episodes.step(np.zeros((3, 4)))
        ended.append(bool(outcome.ended.all()))
        assert not outcome.terminated.any()
        if ended[-1]:
            np.testing.assert_allclose(outcome.reached[:, :3], before[:, :3], atol=0.01)  # the hand rests
            np.testing.assert_array_equal(outcome.reached[:, -3:], before[:, -3:])
            assert (outcome.observations[:, -3:] != before[:, -3:]).any()
        before = outcome.observations
    assert ended.index(True) == HORIZON - 1
    assert sum(ended) == 1


@real
def test_scripted_policies_solve_what_random_actions_do_not(episodes):
    from metaworld.policies import SawyerDrawerCloseV3Policy, SawyerReachV3Policy, SawyerWindowOpenV3Policy

    policies = [SawyerReachV3Policy(), SawyerDrawerCloseV3Policy(), SawyerWindowOpenV3Policy()]
    rng = np.random.default_rng(0)

    def scripted(seen: Floats) -> Floats:
        return np.array([np.clip(one.get_action(row), -1.0, 1.0) for one, row in zip(policies, seen, strict=True)])

    assert solved_episodes(episodes, scripted, 2, np.random.default_rng(0)).all()
    random = solved_episodes(episodes, lambda seen: rng.uniform(-1.0, 1.0, (3, 4)), 2, np.random.default_rng(0))
    assert random.mean() < 0.5


@real
def test_a_training_runs_on_it(tmp_path):
    from roman_moe.learning.runs.multitask import MultitaskRun, judge

    run = MultitaskRun("mt3", "soft_modular", 0, steps=60, warm_up=40, evaluate_every=60, episodes=1)
    found = run.train(tmp_path)
    assert found["updates_per_s"] > 0
    assert [*judge(tmp_path, 1, 0)["tasks"]] == list(MT3)

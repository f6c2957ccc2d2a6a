"""A task's skills as a suite: the episodes are those that the skill's expert is trained in."""

from __future__ import annotations

import numpy as np
import pytest
from specs import LAYOUT, ROMAN, SKILLS
from worlds import TASK

from roman_moe.core.errors import ConfigError
from roman_moe.sim.env import TaskEnv
from roman_moe.sim.reward import TaskReward
from roman_moe.suites import skills
from roman_moe.suites.catalogue import find_suite
from roman_moe.suites.skills import PROGRESS, SUCCESS
from roman_moe.suites.suite import Outcome, solved_episodes


def test_the_suite_has_a_task_for_each_skill_and_all_features():
    suite = find_suite("roman")
    assert suite.tasks == SKILLS
    assert (suite.observation, suite.action) == (len(LAYOUT), ROMAN.action.size)
    assert suite.horizon == 15.0 * ROMAN.control_rate
    kitting = find_suite("kitting")
    assert kitting.spec is not None
    assert kitting.tasks == kitting.spec.skill_names


def test_a_former_name_of_a_suite_is_understood():
    assert (find_suite("lab").name, find_suite("lab").tasks) == ("roman", SKILLS)


def test_an_unknown_suite_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match="unknown suite 'romans': did you mean 'roman'"):
        find_suite("romans")
    with pytest.raises(ConfigError, match="expected one of conflict, mt3, .*kitting.*, or the folder of a task"):
        find_suite("zzz")


def test_its_episodes_are_those_of_the_environment_of_that_skill(monkeypatch):
    monkeypatch.setattr(skills, "TIME_LIMIT", 1.0)
    monkeypatch.setattr(skills, "LEFT", -8.0)
    suite, number = find_suite("roman"), 2
    episodes = suite.episodes(np.array([number]))
    observation = episodes.reset(np.random.default_rng(3))
    env = TaskEnv(TASK.start(SKILLS[number]), LAYOUT.names, reward=TaskReward(SUCCESS, PROGRESS), time_limit=1.0)
    first, _ = env.reset(seed=int(np.random.default_rng(3).integers(1, 2**31, 1)[0]))
    np.testing.assert_array_equal(observation[0], first)
    actions = np.random.default_rng(4).uniform(-1.0, 1.0, (suite.horizon, 1, suite.action)).astype(np.float32)
    for action in actions:
        outcome = episodes.step(action.astype(np.float64))
        seen, reward, terminated, truncated, info = env.step(action[0])
        np.testing.assert_array_equal(outcome.reached[0], seen)
        assert outcome.rewards[0] == reward
        assert (outcome.ended[0], outcome.terminated[0]) == (terminated or truncated, terminated)
        assert outcome.solved[0] == info["is_success"]
    assert outcome.ended[0]
    np.testing.assert_array_equal(outcome.observations[0], env.reset()[0])  # the next episode has begun


class Counting:
    """Three episodes that end after 2, 3 and 5 steps, and are solved in their first step alone, every second time."""

    lengths = np.array([2, 3, 5])

    def reset(self, rng: np.random.Generator) -> np.ndarray:
        self.steps, self.number = np.zeros(3, int), np.zeros(3, int)
        return np.zeros((3, 1))

    def step(self, actions: np.ndarray) -> Outcome:
        solved = (self.steps == 0) & (self.number % 2 == 0)
        self.steps += 1
        ended = self.steps == self.lengths
        self.steps[ended], self.number = 0, self.number + ended
        nothing = np.zeros((3, 1))
        return Outcome(nothing, np.zeros(3), solved, nothing, ended, ended)


def test_an_episode_counts_as_solved_if_it_was_at_any_of_its_steps():
    solved = solved_episodes(Counting(), lambda seen: seen, 3, np.random.default_rng(0))
    assert solved.tolist() == [[True, False, True]] * 3

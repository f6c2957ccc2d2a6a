"""Distral in a table, against linear algebra: its equations, its limits, and what distilling is worth.

Numbers of equations are those of Teh et al. 2017.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from roman_moe.learning.algorithms.tabular_distral import (
    TabularDistral,
    normalized,
    soft_policy,
    soft_value,
)
from roman_moe.suites.suite import Floats
from roman_moe.suites.two_rooms import ACTIONS, TwoRooms

WORLD = TwoRooms.build()
CELLS, GAMMA, BETA = len(WORLD.cells), 0.95, 5.0
GOALS = (0, 13, 20, 31)
UNIFORM = np.full((CELLS, len(ACTIONS)), 1.0 / len(ACTIONS))
SMALL = TabularDistral(tasks=2, iterations=3, rollouts=2, length=30)


def continues(goal: int) -> Floats:
    """(n, a) 0 where an action ends the episode."""
    return (WORLD.next_cell != goal).astype(float)


def soft_q(goal: int, prior: Floats, alpha: float, beta: float, gamma: float = GAMMA) -> Floats:
    """The fixed point of (2) and (3)."""
    q, reward = np.zeros((CELLS, len(ACTIONS))), WORLD.rewards(goal)
    for _ in range(3000):
        before, q = q, reward + gamma * continues(goal) * soft_value(q, prior, alpha, beta)[WORLD.next_cell]
        if np.abs(q - before).max() < 1e-14:
            break
    return q


def regularised_return(goal: int, policy: Floats, prior: Floats, alpha: float, beta: float) -> Floats:
    """(n,) J of (1) from each cell, for one task, by solving its linear equations."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bonus = np.where(policy > 0, alpha / beta * np.log(prior) - np.log(policy) / beta, 0.0)
    reward = (policy * (WORLD.rewards(goal) + bonus)).sum(axis=1)
    return np.linalg.solve(np.eye(CELLS) - GAMMA * steps(goal, policy), reward)


def steps(goal: int, policy: Floats) -> Floats:
    """(n, n) chance of each cell after each, unless the episode ends."""
    chances = np.zeros((CELLS, CELLS))
    np.add.at(chances, (np.arange(CELLS)[:, None], WORLD.next_cell), policy * continues(goal))
    return chances


@pytest.mark.parametrize("alpha", (0.0, 0.5, 1.0))
def test_soft_values_are_the_regularised_return_of_the_soft_policy_and_no_other_does_better(alpha):
    rng = np.random.default_rng(0)
    prior = normalized(rng.random((CELLS, len(ACTIONS))) + 0.1)
    q = soft_q(GOALS[1], prior, alpha, BETA)
    policy, value = soft_policy(q, prior, alpha, BETA), soft_value(q, prior, alpha, BETA)
    np.testing.assert_allclose(policy.sum(axis=1), 1.0, atol=1e-14)
    np.testing.assert_allclose(regularised_return(GOALS[1], policy, prior, alpha, BETA), value, atol=1e-11)
    for _ in range(20):
        other = normalized(policy * np.exp(0.3 * rng.standard_normal(policy.shape)))
        assert (regularised_return(GOALS[1], other, prior, alpha, BETA) < value + 1e-12).all()


def test_the_policy_does_not_depend_on_what_is_added_to_all_actions_of_a_state():
    """Equation (8) with logits h of the prior and f of the task, each free by a constant a state, is (4)."""
    rng = np.random.default_rng(1)
    h, f, alpha = rng.standard_normal((9, 5)), rng.standard_normal((9, 5)), 0.7
    prior = normalized(np.exp(h))
    expected = normalized(np.exp(alpha * (h + rng.standard_normal((9, 1))) + BETA * (f + rng.standard_normal((9, 1)))))
    np.testing.assert_allclose(soft_policy(f, prior, alpha, BETA), expected, atol=1e-14)


def test_large_numbers_do_not_overflow():
    q = np.array([[1e6, -1e6, 0.0, 0.0, 0.0]])
    assert soft_value(q, UNIFORM[:1], 1.0, BETA) == pytest.approx(1e6)
    np.testing.assert_allclose(soft_policy(q, UNIFORM[:1], 1.0, BETA), [[1.0, 0.0, 0.0, 0.0, 0.0]], atol=1e-12)


def test_without_regularisation_left_the_values_are_those_of_the_best_policy():
    goal, beta = GOALS[0], 1e4
    hard = np.zeros((CELLS, len(ACTIONS)))
    for _ in range(2000):
        hard = WORLD.rewards(goal) + GAMMA * continues(goal) * hard.max(axis=1)[WORLD.next_cell]
    soft = soft_value(soft_q(goal, UNIFORM, 1.0, beta), UNIFORM, 1.0, beta)
    assert np.abs(soft - hard.max(axis=1)).max() <= np.log(5) / (beta * (1 - GAMMA))


@pytest.mark.parametrize("alpha", (0.5, 1.0))
def test_policies_and_prior_in_turn_raise_the_regularised_return_of_all_tasks(alpha):
    """(4) maximises (1) for a prior; the visit-weighted mean of the policies does so for the policies (5)."""
    prior, reached = UNIFORM, []
    start = np.full(CELLS, 1.0 / CELLS)
    for _ in range(15):
        policies = [soft_policy(soft_q(goal, prior, alpha, BETA), prior, alpha, BETA) for goal in GOALS]
        reached.append(
            sum(
                start @ regularised_return(goal, policy, prior, alpha, BETA)
                for goal, policy in zip(GOALS, policies, strict=True)
            )
        )
        visits = [
            np.linalg.solve(np.eye(CELLS) - GAMMA * steps(goal, policy).T, start)
            for goal, policy in zip(GOALS, policies, strict=True)
        ]
        counts = sum(visit[:, None] * policy for visit, policy in zip(visits, policies, strict=True))
        prior = normalized(counts + 1e-300)
    assert min(np.diff(reached)) > -1e-12
    assert reached[-1] > reached[0] + 0.5
    vertical = [ACTIONS.index("up"), ACTIONS.index("down")]
    assert prior[WORLD.corridor][:, vertical].sum(axis=1).max() < 0.02


def test_seeds_side_by_side_do_as_each_would_alone():
    returns, prior = SMALL.learn(3)
    alone, one = SMALL.learn(1)
    np.testing.assert_array_equal(returns[:1], alone)
    np.testing.assert_array_equal(prior[:1], one)
    assert returns.shape == (3, SMALL.iterations)
    assert len({*returns[:, 0]}) == 3


def test_a_prior_that_is_not_distilled_stays_uniform_while_it_learns():
    separate = dataclasses.replace(SMALL, distilled=False)
    first, _ = separate.learn(1)
    again, _ = dataclasses.replace(separate, pseudocount=1e9).learn(1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, SMALL.learn(1)[0])


def test_distilling_learns_faster_from_the_same_draws():
    recipe = TabularDistral(iterations=30, rollouts=5)
    returns, prior = recipe.learn(3)
    separate, _ = dataclasses.replace(recipe, distilled=False).learn(3)
    np.testing.assert_array_equal(returns[:, 0], separate[:, 0])  # at first both have the uniform prior
    assert (returns.mean(axis=1) > separate.mean(axis=1)).all()
    np.testing.assert_allclose(prior.sum(axis=-1), 1.0)


def test_an_entropy_that_is_worth_more_than_a_step_is_told():
    assert TabularDistral(alpha=0.5).wanders
    assert not TabularDistral(alpha=0.5, beta=8.1).wanders
    assert not TabularDistral(alpha=0.7).wanders

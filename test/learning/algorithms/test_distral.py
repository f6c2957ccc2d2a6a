"""Distral's equations against finite differences of the objective, where all expectations are exact sums.

Numbers of equations are those of Teh et al. 2017. The Markov decision process has two states, two actions, chance in
its transitions and two tasks; episodes have three steps, so that there are 64 trajectories.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from roman_moe.learning.algorithms.distral import Policy, advantages, gaussian, loss, product, regularisation

GAMMA, BETA, STEPS, TASKS = 0.9, 2.0, 3, 2
RNG = np.random.default_rng(0)
REWARDS = torch.tensor(RNG.normal(size=(TASKS, 2, 2)))  # of task, state, action
CHANCES = torch.tensor(RNG.dirichlet([1.0, 1.0], size=(2, 2)))  # of state, action, next state
PATHS = torch.tensor([*itertools.product((0, 1), repeat=2 * STEPS)])
STATES, ACTIONS = PATHS[:, ::2], PATHS[:, 1::2]  # (64, 3)
MOVES = 0.5 * CHANCES[STATES[:, :-1], ACTIONS[:, :-1], STATES[:, 1:]].prod(dim=1)  # either state begins
DISCOUNTS = GAMMA ** torch.arange(STEPS, dtype=torch.float64)
COLUMNS = ("1col", "2col")


def parameters() -> tuple[Tensor, Tensor]:
    """Logits h of the prior and f of the tasks."""
    generator = torch.Generator().manual_seed(1)
    h, f = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((2, 2), (TASKS, 2, 2)))
    return h.requires_grad_(), f.requires_grad_()


def policy_of(h: Tensor, f: Tensor, columns: str, alpha: float) -> tuple[Policy, Policy]:
    """Of one task, and the prior, in each state of each path; the baseline of two columns has the whole prior."""
    prior, own = Categorical(logits=h[STATES]), Categorical(logits=f[STATES])
    return (product(prior, own, alpha or 1.0) if columns == "2col" else own), prior


def chances(policy: Policy) -> Tensor:
    """(64,) of the paths."""
    return MOVES * policy.log_prob(ACTIONS).sum(dim=1).exp()


def objective(h: Tensor, f: Tensor, columns: str, alpha: float) -> Tensor:
    """J of (1), by its definition."""
    total = torch.zeros((), dtype=torch.float64)
    for task in range(TASKS):
        policy, prior = policy_of(h, f[task], columns, alpha)
        bonus = (alpha * prior.log_prob(ACTIONS) - policy.log_prob(ACTIONS)) / BETA
        total = total + chances(policy) @ ((REWARDS[task, STATES, ACTIONS] + bonus) @ DISCOUNTS)
    return total


def finite_differences(columns: str, alpha: float) -> list[Tensor]:
    """Of J by h and by f."""
    h, f = (values.detach() for values in parameters())
    found = []
    for values in (h, f):
        gradient, flat = torch.zeros_like(values), values.view(-1)
        for place, before in enumerate(flat.tolist()):
            sides = []
            for side in (1e-5, -1e-5):
                flat[place] = before + side
                sides.append(objective(h, f, columns, alpha))
            flat[place] = before
            gradient.view(-1)[place] = (sides[0] - sides[1]) / 2e-5
        found.append(gradient)
    return found


def learned(h: Tensor, f: Tensor, columns: str, alpha: float) -> Tensor:
    """Minus J's stand-in: the losses of all paths, weighed by their chances, with some value as the baseline."""
    total = torch.zeros((), dtype=torch.float64)
    for task in range(TASKS):
        policy, prior = policy_of(h, f[task], columns, alpha)
        cost = regularisation(policy, prior, alpha, BETA)
        values = torch.tensor([0.7, -0.4], dtype=torch.float64)[STATES]
        rewards = REWARDS[task, STATES, ACTIONS] - cost.detach()
        advantage = advantages(rewards, values, torch.zeros(len(values)), GAMMA)
        total = total + chances(policy).detach() @ (loss(policy, ACTIONS, advantage, cost) @ DISCOUNTS)
    return total


@pytest.mark.parametrize("alpha", (0.0, 0.5, 1.0))
@pytest.mark.parametrize("columns", COLUMNS)
def test_the_losses_have_the_gradients_of_the_objective(columns, alpha):
    h, f = parameters()
    found = torch.autograd.grad(learned(h, f, columns, alpha), (h, f), allow_unused=True, materialize_grads=True)
    for gradient, wanted in zip(found, finite_differences(columns, alpha), strict=True):
        torch.testing.assert_close(-gradient, wanted, atol=1e-8, rtol=1e-6)
    assert (found[0].abs().max() > 1e-3) == (alpha > 0.0 or columns == "2col")


@pytest.mark.parametrize("columns", COLUMNS)
def test_equations_9_and_10_as_they_are_written(columns):
    """The prior's first term is summed over the tasks, and vanishes with one column."""
    alpha = 0.5
    h, f = parameters()
    first, second = torch.zeros_like(h), torch.zeros_like(h)
    wanted = finite_differences(columns, alpha)
    for task in range(TASKS):
        policy, prior = policy_of(h, f[task], columns, alpha)
        bonus = (alpha * prior.log_prob(ACTIONS) - policy.log_prob(ACTIONS)) / BETA
        discounted = (REWARDS[task, STATES, ACTIONS] + bonus) * DISCOUNTS
        to_go = discounted.flip(1).cumsum(dim=1).flip(1).detach()
        score = chances(policy).detach() @ (policy.log_prob(ACTIONS) * to_go).sum(dim=1)
        by_h, by_f = torch.autograd.grad(score, (h, f), allow_unused=True, materialize_grads=True)
        torch.testing.assert_close(by_f[task], wanted[1][task], atol=1e-8, rtol=1e-6)
        first += by_h
        visits = chances(policy)[:, None] * DISCOUNTS
        for state in (0, 1):
            difference = (policy.probs - prior.probs)[state == STATES]
            second[state] += alpha / BETA * (visits[state == STATES, None] * difference).sum(dim=0)
    torch.testing.assert_close(first + second, wanted[0], atol=1e-8, rtol=1e-6)
    assert (first.abs().max() > 1e-3) == (columns == "2col")


def test_a_prior_that_is_the_visited_mean_of_the_policies_stays():
    """The second term of (10) is then 0; the plain mean is not such a prior, unless all states are visited equally."""
    _, f = parameters()
    policies = [Categorical(logits=f[task].detach()) for task in range(TASKS)]
    visits = torch.zeros(TASKS, 2, dtype=torch.float64)
    for task, policy in enumerate(policies):
        reached = chances(Categorical(logits=policy.logits[STATES]))[:, None] * DISCOUNTS
        visits[task] = torch.stack([reached[state == STATES].sum() for state in (0, 1)])
    mean = sum(visits[task, :, None] * policy.probs for task, policy in enumerate(policies)) / visits.sum(0)[:, None]

    def second_term(probabilities: Tensor) -> Tensor:
        h = probabilities.log().requires_grad_()
        costs = [regularisation(policy, Categorical(logits=h), 1.0, BETA) for policy in policies]
        (gradient,) = torch.autograd.grad(sum(visits[task] @ cost for task, cost in enumerate(costs)), h)
        return gradient

    torch.testing.assert_close(second_term(mean), torch.zeros(2, 2, dtype=torch.float64), atol=1e-12, rtol=0.0)
    assert second_term(sum(policy.probs for policy in policies) / TASKS).abs().max() > 1e-3


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("alpha", (0.5, 1.0))
def test_one_task_becomes_greedy_without_entropy_and_boltzmann_with_it(columns, alpha):
    """With pi0 = pi_1 left, the inverse temperature is beta / (1 - alpha), without end for alpha = 1."""
    rewards = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    h, f = (torch.zeros(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer, actions = torch.optim.Adam([h, f], 0.1), torch.arange(3)
    for _ in range(120):
        prior, own = (Categorical(logits=logits, validate_args=False) for logits in (h, f))
        policy = product(prior, own, alpha) if columns == "2col" else own
        cost = regularisation(policy, prior, alpha, BETA)
        optimizer.zero_grad()
        (policy.probs.detach() @ loss(policy, actions, rewards - cost.detach(), cost)).backward()
        optimizer.step()
    wanted = torch.tensor([0.0, 0.0, 1.0]) if alpha == 1.0 else (rewards * BETA / (1.0 - alpha)).softmax(dim=0)
    torch.testing.assert_close(policy.probs, wanted.double(), atol=5e-3, rtol=0.0)


GRID = torch.linspace(-12.0, 12.0, 4801, dtype=torch.float64)[:, None]


def mass(policy: Policy) -> Tensor:
    """Of each cell of the grid."""
    return policy.log_prob(GRID).exp() * (GRID[1, 0] - GRID[0, 0])


@pytest.mark.parametrize("weight", (0.3, 1.0))
def test_the_gaussian_of_two_columns_is_their_product_normalised(weight):
    columns = torch.tensor([[0.4, -1.1], [0.5, 1.7]], dtype=torch.float64)  # means and variances
    prior, own = (gaussian(*columns[:, [column]]) for column in (0, 1))
    together = weight * prior.log_prob(GRID) + own.log_prob(GRID)
    torch.testing.assert_close(mass(product(prior, own, weight)), together.softmax(dim=0), atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("columns", COLUMNS)
def test_gaussian_policies_follow_the_gradient_of_the_objective(columns):
    """One step with a reward that is no polynomial, its mean taken on a grid."""
    alpha = 0.5
    reward = torch.sin(2.0 * GRID[:, 0])

    def policies(values: Tensor) -> tuple[Policy, Policy]:
        prior, own = (gaussian(values[column, :1], values[column, 1:].exp()) for column in (0, 1))
        return (product(prior, own, alpha) if columns == "2col" else own), prior

    values = torch.tensor([[0.3, -0.5], [-0.6, 0.2]], dtype=torch.float64, requires_grad=True)
    policy, prior = policies(values)
    bonus = (alpha * prior.log_prob(GRID) - policy.log_prob(GRID)) / BETA
    (wanted,) = torch.autograd.grad(mass(policy) @ (reward + bonus), values)
    policy, prior = policies(values)
    cost = regularisation(policy, prior, alpha, BETA)
    (-(mass(policy).detach() @ loss(policy, GRID, reward - cost.detach(), cost))).backward()
    torch.testing.assert_close(values.grad, wanted, atol=1e-9, rtol=1e-7)


def test_advantages_are_discounted_rewards_with_the_value_after_them_less_the_value_before():
    rewards, values = torch.randn(2, 2, 4, generator=torch.Generator().manual_seed(0)).double()
    following = torch.tensor([0.3, -0.8], dtype=torch.float64)
    wanted = [
        sum(GAMMA ** (u - t) * rewards[:, u] for u in range(t, 4)) + GAMMA ** (4 - t) * following - values[:, t]
        for t in range(4)
    ]
    torch.testing.assert_close(advantages(rewards, values, following, GAMMA), torch.stack(wanted, dim=1))

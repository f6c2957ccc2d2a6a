"""Distral's family by A2C: each gradient of an update is that of the formulas, written once more here."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from roman_moe.learning.algorithms.multitask_a2c import FAMILY, A2CRecipe, Member, MultitaskA2C
from roman_moe.learning.algorithms.multitask_sac import Transitions
from roman_moe.learning.policies.multitask import Sizes

TASKS, ROWS, STEPS, SEEN, ACTION = 3, 2, 4, 5, 2
RECIPE = A2CRecipe(Sizes((8, 8)), temperature=0.2, max_gradient=1e9, rollout=STEPS)


def learner(method: str, recipe: A2CRecipe = RECIPE) -> MultitaskA2C:
    torch.manual_seed(0)
    return MultitaskA2C(recipe, FAMILY[method], SEEN, ACTION, TASKS, 100)


def rollout() -> Transitions:
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn((TASKS, ROWS, STEPS, *shape), generator=generator)  # noqa: E731
    return Transitions(draw(SEEN), draw(ACTION), draw(), draw(SEEN), (draw() > 0.5).float())


def wanted_loss(a2c: MultitaskA2C, member: Member, data: Transitions) -> Tensor:
    """Of actor and critic, number by number."""
    total = torch.zeros(())
    for task in range(TASKS):
        for row in range(ROWS):
            ahead = answer(a2c.critic, data.following[task, row, -1], task)[0].detach()
            ahead = 0.0 if data.terminated[task, row, -1] else ahead
            for step in reversed(range(STEPS)):
                x, action = data.observations[task, row, step], data.actions[task, row, step]
                columns = {name: answer(net, x, task) for name, net in a2c.columns.items()}
                moments = {name: (y[:ACTION], y[ACTION:].exp()) for name, y in columns.items()}
                mean, std = moments.get(member.columns) or both(*moments["prior"], *moments["own"], member.alpha or 1.0)
                cost = -(1.0 - member.alpha) * (std.log() + 0.5 * math.log(2.0 * math.pi * math.e)).sum()
                if member.alpha:
                    mean0, std0 = moments["prior"]
                    divergence = (std0 / std).log() + (std**2 + (mean - mean0) ** 2) / (2.0 * std0**2) - 0.5
                    cost = cost + member.alpha * divergence.sum()
                cost = a2c.recipe.temperature * cost
                ahead = (data.rewards[task, row, step] - cost + 0.98 * ahead).detach()
                value = answer(a2c.critic, x, task)[0]
                chance = (-0.5 * ((action - mean) / std) ** 2 - std.log() - 0.5 * math.log(2.0 * math.pi)).sum()
                total = total + cost - chance * (ahead - value).detach() + (value - ahead) ** 2
    return total / (TASKS * ROWS * STEPS)


def answer(network: torch.nn.Module, x: Tensor, task: int) -> Tensor:
    """To one row of a task, which has its place among all tasks."""
    return network(torch.stack([x if place == task else torch.zeros(SEEN) for place in range(TASKS)])[:, None])[task, 0]


def both(mean0: Tensor, std0: Tensor, mean1: Tensor, std1: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    precision = weight / std0**2 + 1.0 / std1**2
    return (weight * mean0 / std0**2 + mean1 / std1**2) / precision, precision**-0.5


@pytest.mark.parametrize("method", FAMILY)
def test_an_update_follows_the_gradients_of_its_formulas(method):
    """Without alpha, they are those of an actor-critic with entropy, into which no prior enters but by the policy."""
    a2c, data = learner(method), rollout()
    before = copy.deepcopy(a2c)
    a2c.update(data)
    parameters = [*before.columns.parameters(), *before.critic.parameters()]
    wanted = torch.autograd.grad(wanted_loss(before, FAMILY[method], data), parameters)
    found = [*a2c.columns.parameters(), *a2c.critic.parameters()]
    for values, gradient in zip(found, wanted, strict=True):
        torch.testing.assert_close(values.grad, gradient, atol=1e-5, rtol=1e-4)
    assert all((old != new).any() for old, new in zip(parameters, found, strict=True))


def test_the_family_is_that_of_table_1():
    needs = {method: {*learner(method).columns} for method in FAMILY}
    assert needs == {method: {"prior", "own"} for method in FAMILY} | {
        "ac_separate": {"own"}, "ac_multitask": {"prior"},
    }  # fmt: skip
    assert {method: member.alpha for method, member in FAMILY.items() if member.alpha} == {
        "distral_kl_1col": 1.0, "distral_kl_2col": 1.0, "distral_kl_ent_1col": 0.5, "distral_kl_ent_2col": 0.5,
    }  # fmt: skip


def test_the_prior_does_not_see_the_task_and_the_policies_do():
    observations = torch.randn(1, 6, SEEN).expand(TASKS, -1, -1)
    policy, prior = learner("distral_kl_2col").policies(observations)
    torch.testing.assert_close(prior.mean[0], prior.mean[1])
    assert (policy.mean[0] - policy.mean[1]).abs().max() > 1e-3
    shared, _ = learner("ac_multitask").policies(observations)
    torch.testing.assert_close(shared.mean[0], shared.mean[1])


def test_a_rollout_ends_with_the_episode_at_the_latest_and_keeps_the_order_of_its_steps():
    a2c, data = learner("ac_separate"), rollout()
    rollouts: list[Transitions] = []
    a2c.update = rollouts.append
    fields = ("observations", "actions", "rewards", "following", "terminated")
    steps = [Transitions(*(getattr(data, name)[:, :, step] for name in fields)) for step in range(STEPS)]
    assert [a2c.learn(step, ends=False) for step in steps] == [False] * (STEPS - 1) + [True]
    for name in fields:
        torch.testing.assert_close(getattr(rollouts[0], name), getattr(data, name))
    assert a2c.learn(steps[0], ends=True)
    assert rollouts[1].rewards.shape == (TASKS, ROWS, 1)


@pytest.mark.parametrize("method", ["distral_kl_1col", "distral_kl_ent_2col", "ac_2col"])
def test_tasks_that_want_opposite_actions_are_learned(method):
    goals, seen = torch.tensor([-0.6, 0.0, 0.6])[:, None, None], torch.ones(TASKS, 32, SEEN)
    a2c = learner(method, A2CRecipe(Sizes((16,)), gamma=0.0, learning_rate=0.02))
    for _ in range(100):
        actions = torch.as_tensor(a2c.act(seen))
        rewards = -(actions - goals).square().sum(dim=2)
        a2c.learn(Transitions(seen, actions, rewards, seen, torch.zeros(TASKS, 32)), ends=True)
    assert (torch.as_tensor(a2c.act(seen, greedy=True)) - goals).abs().max() < 0.25
    assert (a2c.act(seen) != a2c.act(seen)).any()


def test_the_learning_rate_falls_to_a_sixth():
    a2c, data = learner("ac_separate"), rollout()
    for _ in range(101):
        a2c.update(data)
    rates = [group["lr"] for group in a2c._optimizer.param_groups]
    assert rates == pytest.approx([RECIPE.learning_rate / 6.0] * 2)

"""Multi-task soft actor-critic: each gradient of an update is that of the formulas, written once more here."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from roman_moe.learning.algorithms.multitask_sac import MultitaskSAC, Replay, SACRecipe, Transitions
from roman_moe.learning.policies.multitask import Sizes

TASKS, ROWS, SEEN, ACTION = 3, 4, 5, 2


def learner(**changes: object) -> MultitaskSAC:
    torch.manual_seed(0)
    recipe = SACRecipe("shared", Sizes((8, 8)), max_gradient=1e9, **changes)
    sac = MultitaskSAC(recipe, SEEN, ACTION, TASKS)
    sac.log_alpha.data = torch.tensor([-1.0, 0.0, 0.5])
    for values in sac.targets.parameters():
        values.data += 0.1
    return sac


def batch() -> Transitions:
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn((TASKS, ROWS, *shape), generator=generator)  # noqa: E731
    return Transitions(draw(SEEN), draw(ACTION).tanh(), draw(), draw(SEEN), (draw() > 0.5).float())


def distribution(sac: MultitaskSAC, observations: Tensor) -> TransformedDistribution:
    mean, log_std = sac.actor(observations).chunk(2, dim=2)
    return TransformedDistribution(Normal(mean, log_std.exp()), TanhTransform())


def least(critics: torch.nn.ModuleList, observations: Tensor, actions: Tensor) -> Tensor:
    inputs = torch.cat([observations, actions], dim=2)
    return torch.min(critics[0](inputs)[..., 0], critics[1](inputs)[..., 0])


def test_the_density_of_an_action_is_that_of_a_squashed_normal():
    sac, data = learner(), batch()
    actions, log_chance = sac._sample(data.observations)
    expected = distribution(sac, data.observations).log_prob(actions).sum(dim=2)
    torch.testing.assert_close(log_chance, expected, atol=1e-4, rtol=1e-4)
    assert actions.abs().max() <= 1.0


@pytest.mark.parametrize("balance", ("none", "paper", "official"))
def test_an_update_follows_the_gradients_of_its_formulas(balance):
    sac, data = learner(balance=balance), batch()
    before, alpha = copy.deepcopy(sac), sac.log_alpha.detach().exp()
    torch.manual_seed(5)
    sac.update(data)

    torch.manual_seed(5)
    following, log_chance = before._sample(data.following)
    value = least(before.targets, data.following, following) - alpha[:, None] * log_chance
    target = torch.where(data.terminated > 0, data.rewards, data.rewards + 0.98 * value)
    inputs = torch.cat([data.observations, data.actions], dim=2)
    weights = before.loss_weights(alpha)
    loss = torch.zeros(())
    for task in range(TASKS):
        for critic in before.critics:
            loss = loss + weights[task] * ((critic(inputs)[task, :, 0] - target.detach()[task]) ** 2).mean()
    wanted = torch.autograd.grad(loss, list(before.critics.parameters()))
    for values, gradient in zip(sac.critics.parameters(), wanted, strict=True):
        torch.testing.assert_close(values.grad, gradient, atol=1e-5, rtol=1e-4)

    actions, log_chance = before._sample(data.observations)
    value = least(sac.critics, data.observations, actions)  # by the critics that this update has improved
    loss = (weights[:, None] * (alpha[:, None] * log_chance - value)).sum() / ROWS
    wanted = torch.autograd.grad(loss, list(before.actor.parameters()))
    for values, gradient in zip(sac.actor.parameters(), wanted, strict=True):
        torch.testing.assert_close(values.grad, gradient, atol=1e-5, rtol=1e-4)

    surplus = log_chance.detach().mean(dim=1) - ACTION
    torch.testing.assert_close(sac.log_alpha.grad, -surplus / TASKS)


def test_the_targets_follow_slowly():
    sac = learner()
    old = [values.clone() for values in sac.targets.parameters()]
    sac.update(batch())
    for target, before, values in zip(sac.targets.parameters(), old, sac.critics.parameters(), strict=True):
        torch.testing.assert_close(target, 0.995 * before + 0.005 * values)


def test_an_uncertain_task_counts_less():
    alpha = torch.tensor([0.5, 1.0, 2.0])
    assert learner().loss_weights(alpha).tolist() == pytest.approx([1 / 3] * 3)
    paper = torch.tensor([-0.5, -1.0, -2.0]).exp()
    torch.testing.assert_close(learner(balance="paper").loss_weights(alpha), paper / paper.sum())
    assert learner(balance="official").loss_weights(alpha).tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_a_greedy_action_is_the_mean_and_has_no_chance_in_it():
    sac, data = learner(), batch()
    mean, _ = sac.actor(data.observations).chunk(2, dim=2)
    torch.testing.assert_close(torch.as_tensor(sac.act(data.observations, greedy=True)), mean.tanh().detach())
    assert (sac.act(data.observations) != sac.act(data.observations)).any()


def test_the_replay_keeps_the_last_steps_of_each_task_together():
    replay = Replay(2, 6, 1, 1)
    for step in range(5):
        value = torch.full((2, 2, 1), float(step)) + 100.0 * torch.arange(2)[:, None, None]
        ended = torch.full((2, 2), float(step == 3))
        replay.add(Transitions(value, value + 0.1, value[..., 0] + 0.2, value + 0.3, ended))
    assert replay.size == 6
    found = replay.sample(200)
    seen = found.observations[..., 0]
    assert {*seen[0].tolist()} == {2.0, 3.0, 4.0}
    assert {*seen[1].tolist()} == {102.0, 103.0, 104.0}
    torch.testing.assert_close(found.actions[..., 0], seen + 0.1)
    torch.testing.assert_close(found.rewards, seen + 0.2)
    torch.testing.assert_close(found.following[..., 0], seen + 0.3)
    assert ((found.terminated > 0) == (seen % 100.0 == 3.0)).all()

"""The loop that the batched modules are timed beside computes the same numbers."""

import pytest
import torch

from roman_moe.learning.algorithms.looped_soft_modular import ACTION, OBSERVATION, LoopedSoftModular, learner
from roman_moe.learning.policies.multitask import Sizes

TASKS = 10


@pytest.mark.parametrize(("layers", "modules"), ((2, 2), (4, 4), (3, 2)))
def test_the_loop_has_the_batched_answers_and_gradients(layers, modules):
    actor = learner(Sizes((10,), layers, modules, 6), TASKS, 0, looped=False).actor.double()
    for values in actor.parameters():  # those of the beginning hide mistakes
        fan_in = values.shape[-2] if values.dim() == 3 else values.shape[-1]
        values.data = torch.randn_like(values) * (2.0 / fan_in) ** 0.5
    x = torch.randn(TASKS, 3, OBSERVATION, dtype=torch.float64)
    weight = torch.randn(TASKS, 3, 2 * ACTION, dtype=torch.float64)
    parameters = list(actor.parameters())

    def found():
        answers = actor(x)
        return [answers.detach(), *torch.autograd.grad((answers * weight).sum(), parameters)]

    batched = found()
    actor.body = LoopedSoftModular(actor.body)
    for one, other in zip(found(), batched, strict=True):
        assert (one - other).abs().max() <= 1e-10 * max(1.0, float(other.abs().max()))


def test_both_begin_alike_and_learn_the_looped_networks_own_parameters():
    batched, looped = (learner(Sizes((10,), width=6), TASKS, 0, way) for way in (False, True))
    for network in (looped.actor, *looped.critics, *looped.targets):
        assert isinstance(network.body, LoopedSoftModular)
    for one, other in zip(batched.actor.parameters(), looped.actor.parameters(), strict=True):
        assert torch.equal(one, other)
    learned = {id(p) for group in looped._actor_step.param_groups for p in group["params"]}
    assert learned == {id(p) for p in looped.actor.parameters()}

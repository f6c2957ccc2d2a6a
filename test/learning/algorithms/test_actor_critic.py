"""Actor and critic: the mean is the policy's raw output, and probabilities are those of a Gaussian about it."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from specs import ROMAN

from roman_moe.learning.algorithms.actor_critic import ActorCritic
from roman_moe.learning.policies.mlp import MLPPolicy


@pytest.mark.parametrize("name", ("push", "gate"))
def test_the_mean_is_the_policys_raw_output_and_the_density_is_gaussian(name):
    torch.manual_seed(0)
    actor = MLPPolicy(ROMAN, name, (8,))
    count, size = len(actor.features), len(actor.outputs)
    space = gymnasium.spaces.Box(-np.inf, np.inf, (count,), np.float32)
    model = ActorCritic(
        space, gymnasium.spaces.Box(-1, 1, (size,), np.float32), lambda _: 1e-3, actor=actor, log_std=-1.0
    )
    observations = torch.randn(5, count)
    mean, values, _ = model(observations, deterministic=True)
    expected = actor.raw(observations)
    torch.testing.assert_close(mean, expected)
    assert values.shape == (5, 1)

    actions, _, density = model(observations)
    gaussian = torch.distributions.Normal(expected, np.exp(-1.0))
    torch.testing.assert_close(density, gaussian.log_prob(actions).sum(dim=1))
    _, again, entropy = model.evaluate_actions(observations, actions)
    torch.testing.assert_close(again, density)
    torch.testing.assert_close(entropy, gaussian.entropy().sum(dim=1))


def test_actor_and_critic_share_no_weights_and_all_of_them_are_trained():
    actor = MLPPolicy(ROMAN, "push", (8,))
    space = gymnasium.spaces.Box(-np.inf, np.inf, (len(actor.features),), np.float32)
    model = ActorCritic(space, gymnasium.spaces.Box(-1, 1, (4,), np.float32), lambda _: 1e-3, actor=actor, log_std=-1.0)
    trained = {id(p) for group in model.optimizer.param_groups for p in group["params"]}
    own = {id(p) for p in actor.parameters()}
    assert own < trained
    assert not own & {id(p) for p in model.critic.parameters()}

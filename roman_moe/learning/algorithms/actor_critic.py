"""Actor and critic for Stable-Baselines3, around the same policy module that is cloned and exported."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import torch
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from roman_moe.learning.policies.mlp import MLPPolicy


class ActorCritic(ActorCriticPolicy):
    """Gaussian actions about a policy's answer, with a standard deviation that does not depend on the state.

    The mean is the policy's raw output. The clip of an expert's action, and the gate's clip and softmax, are part of
    the environment, so that no gradient is lost in them.

    There is one value head. With the same discount for both signals, generalised advantages are linear in rewards and
    values. So the advantages of one head per signal would add up to those of one head for their weighted sum.

    Attributes:
        actor: the policy; its observation layer is shared in content, not in memory, with the critic's.
    """

    def __init__(self, *args: Any, actor: MLPPolicy, log_std: float, **kwargs: Any) -> None:
        self._given = (actor, log_std)
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        policy, log_std = self._given
        del self._given  # it is registered below under its own name
        self.actor = policy
        self.observation = copy.deepcopy(policy.observation)
        sizes = (policy.observation.size, *policy.hidden)
        layers = [module for a, b in pairwise(sizes) for module in (nn.Linear(a, b), nn.SiLU())]
        self.critic = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))
        self.log_std = nn.Parameter(torch.full((len(policy.outputs),), log_std))
        self._gaussian = DiagGaussianDistribution(len(policy.outputs))
        self.optimizer = torch.optim.Adam(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def get_distribution(self, obs: Any) -> DiagGaussianDistribution:
        """Distribution of actions for observations, (B, n)."""
        return self._gaussian.proba_distribution(self.actor.raw(obs), self.log_std)

    def predict_values(self, obs: Any) -> Tensor:
        """Values, (B, 1)."""
        return self.critic(self.observation(obs))

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        distribution = self.get_distribution(obs)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self.predict_values(obs), distribution.log_prob(actions)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values (B, 1), log probabilities (B,) and entropies (B,) of given actions."""
        distribution = self.get_distribution(obs)
        return self.predict_values(obs), distribution.log_prob(actions), distribution.entropy()

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        return self.get_distribution(observation).get_actions(deterministic=deterministic)

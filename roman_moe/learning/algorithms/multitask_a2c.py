"""Distral on continuous actions, and its baselines, by a synchronous advantage actor-critic (A2C).

A2C stands for the paper's asynchronous method (A3C). All episodes of all tasks go on side by side, and after every few
steps there is one update by all of them (`distral` has the equations). As in A3C, all steps count alike, without the
discount gamma^t from the episode's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Independent

from roman_moe.learning.algorithms.distral import Policy, advantages, gaussian, loss, product, regularisation
from roman_moe.learning.algorithms.multitask_sac import Transitions, seen_through
from roman_moe.learning.policies.multitask import Separate, Sizes, SkillObservation, plain

LOG_STD = (-1.5, 1.0)
"""Bounds of a column's log standard deviation. The gradient grows with its inverse square: narrow policies unlearn."""


@dataclass(frozen=True, slots=True)
class Member:
    """Of the family of Table 1.

    Attributes:
        alpha: of the objective; 0 has no KL, 1 no entropy.
        columns: what a task's policy is made of: the prior alone, the task's own column, or both.
    """

    alpha: float
    columns: Literal["prior", "own", "both"]


FAMILY: Mapping[str, Member] = {
    "distral_kl_1col": Member(1.0, "own"),
    "distral_kl_ent_1col": Member(0.5, "own"),
    "distral_kl_2col": Member(1.0, "both"),
    "distral_kl_ent_2col": Member(0.5, "both"),
    "ac_separate": Member(0.0, "own"),
    "ac_multitask": Member(0.0, "prior"),
    "ac_2col": Member(0.0, "both"),
}


@dataclass(frozen=True, slots=True)
class A2CRecipe:
    """How to learn.

    Attributes:
        temperature: 1 / beta, what a nat of regularisation costs.
        rollout: steps of each episode between two updates, unless it ends before.
        learning_rate: by Adam, at first; it falls to a sixth of it, as the paper's.
        max_gradient: largest norm of a gradient of actor or critic.
    """

    sizes: Sizes = field(default_factory=Sizes)
    temperature: float = 0.01
    gamma: float = 0.98
    rollout: int = 5
    learning_rate: float = 1e-3
    max_gradient: float = 1.0


class MultitaskA2C:
    """Columns of the policies, and a critic for each task.

    Args:
        updates: over which the learning rate falls.

    Attributes:
        layer: what the networks see of an observation; None for all of it as it is.
        columns: "prior", (T, B, n) to (T, B, 2a), which does not see the task; and "own", likewise, one for each task.
            Mean and log standard deviation of actions before they are clipped. What the method does not need, is not
            there.
        critic: (T, B, n) to (T, B, 1), regularised value.
    """

    def __init__(
        self,
        recipe: A2CRecipe,
        member: Member,
        observation: int,
        action: int,
        tasks: int,
        updates: int,
        layer: SkillObservation | None = None,
    ) -> None:
        self.recipe, self.member, self.layer = recipe, member, layer
        observation = observation if layer is None else layer.size
        self.columns = nn.ModuleDict()
        if member.alpha or member.columns != "own":
            self.columns["prior"] = plain((observation, *recipe.sizes.hidden, 2 * action))
        if member.columns != "prior":
            self.columns["own"] = Separate(observation, tasks, 2 * action, recipe.sizes)
        self.critic = Separate(observation, tasks, 1, recipe.sizes)
        groups = [{"params": [*network.parameters()]} for network in (self.columns, self.critic)]
        self._optimizer = torch.optim.Adam(groups, recipe.learning_rate, fused=True)
        self._schedule = torch.optim.lr_scheduler.LinearLR(self._optimizer, 1.0, 1.0 / 6.0, updates)
        self._steps: list[Transitions] = []

    @property
    def parameters(self) -> int:
        """Of columns and critic."""
        return sum(p.numel() for group in self._optimizer.param_groups for p in group["params"])

    @property
    def policy(self) -> dict[str, nn.Module]:
        """What acts, without what learns."""
        return {"columns": self.columns, **({} if self.layer is None else {"layer": self.layer})}

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts.items():
            part.load_state_dict(state[name])

    @property
    def _parts(self) -> dict[str, Any]:
        return {**self.policy, "critic": self.critic, "optimizer": self._optimizer, "schedule": self._schedule}

    def policies(self, observations: Tensor) -> tuple[Policy, Policy]:
        """Of the tasks, and the prior; without one, the policy stands for it."""
        found: dict[str, Policy] = {name: _gaussian(column(observations)) for name, column in self.columns.items()}
        if self.member.columns == "both":  # the baseline has no alpha, but its prior counts
            found["both"] = product(found["prior"], found["own"], self.member.alpha or 1.0)
        policy = found[self.member.columns]
        return policy, found.get("prior", policy)

    def prior(self, observations: Tensor) -> Policy:
        """The prior alone, of methods that have one; which does not see the task."""
        return _gaussian(self.columns["prior"](observations))

    def act(self, observations: Tensor, greedy: bool = False) -> NDArray[np.float32]:
        """(T, B, a) actions, not clipped, for (T, B, n) observations."""
        with torch.no_grad():
            policy, _ = self.policies(seen_through(self.layer, observations))
            return np.asarray(policy.mean if greedy else policy.sample())

    def learn(self, step: Transitions, ends: bool) -> bool:
        """From one step of all episodes; answers whether there was an update, as when any of them ends."""
        self._steps.append(step)
        if len(self._steps) < self.recipe.rollout and not ends:
            return False
        names = [each.name for each in fields(Transitions)]
        self.update(Transitions(*(torch.stack([getattr(s, name) for s in self._steps], dim=2) for name in names)))
        self._steps = []
        return True

    def update(self, rollout: Transitions) -> None:
        """One step of all columns and critics by a rollout, (T, B, L, ...)."""
        recipe, alpha, shape = self.recipe, self.member.alpha, rollout.rewards.shape
        observations, actions = rollout.observations.flatten(1, 2), rollout.actions.flatten(1, 2)
        observations = seen_through(self.layer, observations)
        policy, prior = self.policies(observations)
        cost = regularisation(policy, prior, alpha, 1.0 / recipe.temperature)
        values = self.critic(observations)[..., 0]
        with torch.no_grad():
            following = self.critic(seen_through(self.layer, rollout.following[:, :, -1]))[..., 0]
            following = following * (1.0 - rollout.terminated[:, :, -1])
            rewards = rollout.rewards - cost.view(shape)
            advantage = advantages(rewards, values.view(shape), following, recipe.gamma).flatten(1, 2)
            target = values + advantage
        total = loss(policy, actions, advantage, cost).mean() + (values - target).square().mean()
        self._optimizer.zero_grad()
        total.backward()
        for group in self._optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], recipe.max_gradient)
        self._optimizer.step()
        self._schedule.step()


def _gaussian(outputs: Tensor) -> Independent:
    """Of mean and log standard deviation, (..., 2a)."""
    mean, log_std = outputs.chunk(2, dim=-1)
    return gaussian(mean, (2.0 * log_std.clamp(*LOG_STD)).exp())

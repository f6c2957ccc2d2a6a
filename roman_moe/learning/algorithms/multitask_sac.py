"""Soft actor-critic of many tasks at once (Haarnoja et al. 2018), with one temperature a task.

Losses of the tasks can be weighed by their temperatures, as Soft Modularization does (Yang et al. 2020, equation 10):
a task that is still uncertain, whose temperature is high, counts less. The paper has w = softmax(-alpha), its released
code w = softmax(-log alpha); the weights of all tasks sum to 1.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from roman_moe.learning.algorithms.cuda_graph import GraphedFunction
from roman_moe.learning.policies.multitask import NETWORKS, HardRouted, Sizes, SkillObservation

Balance = Literal["none", "paper", "official"]

LOG_STD = (-20.0, 2.0)  # bounds of the actor's log standard deviation


@dataclass(frozen=True, slots=True)
class SACRecipe:
    """How to learn.

    Attributes:
        network: key of `NETWORKS`, for actor and critics.
        balance: how the tasks' losses are weighed.
        batch: rows of each task in an update.
        learning_rate: of actor, critics and temperatures, by Adam.
        tau: share of the critics that their targets take over in an update.
        max_gradient: largest norm of a gradient of actor or critics.
    """

    network: str = "shared"
    sizes: Sizes = field(default_factory=Sizes)
    balance: Balance = "none"
    batch: int = 32
    gamma: float = 0.98
    learning_rate: float = 1e-3
    tau: float = 0.005
    max_gradient: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """(T, B, ...) steps of T tasks; `terminated`, (T, B), is 1 where no value comes after, and else 0."""

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    following: Tensor
    terminated: Tensor


class MultitaskSAC:
    """Actor, two critics, their targets and the temperatures.

    Attributes:
        layer: what the networks see of an observation; None for all of it as it is.
        device: where the networks are.
        actor: (T, B, n) to (T, B, 2a): mean and log standard deviation before tanh.
        critics: (T, B, n + a) to (T, B, 1), two.
        log_alpha: (T,) logarithm of the temperatures.
    """

    def __init__(
        self,
        recipe: SACRecipe,
        observation: int,
        action: int,
        tasks: int,
        layer: SkillObservation | None = None,
        device: str = "cpu",
    ) -> None:
        build, on_gpu = NETWORKS[recipe.network], device != "cpu"
        self.recipe, self.tasks, self.device = recipe, tasks, torch.device(device)
        self.layer = layer if layer is None else layer.to(self.device)
        observation = observation if layer is None else layer.size
        self.actor = build(observation, tasks, 2 * action, recipe.sizes).to(self.device)
        critics = (build(observation + action, tasks, 1, recipe.sizes) for _ in range(2))
        self.critics = nn.ModuleList(critics).to(self.device)
        self.targets = copy.deepcopy(self.critics).requires_grad_(False).eval()
        self.log_alpha = torch.zeros(tasks, device=self.device, requires_grad=True)
        self._target_entropy = -float(action)
        rate = recipe.learning_rate
        self._actor_step = torch.optim.Adam(self.actor.parameters(), rate, fused=True, capturable=on_gpu)
        self._critic_step = torch.optim.Adam(self.critics.parameters(), rate, fused=True, capturable=on_gpu)
        self._alpha_step = torch.optim.Adam([self.log_alpha], rate, capturable=on_gpu)
        works: list[Callable[..., Any]] = [self._update, self._sampled, self._greedy]
        if on_gpu:
            works = [GraphedFunction(work) for work in works]
        self._updated, self._any_action, self._best_action = works

    @property
    def parameters(self) -> int:
        """Of actor and critics."""
        return sum(p.numel() for net in (self.actor, self.critics) for p in net.parameters())

    def act(self, observations: Tensor, greedy: bool = False) -> NDArray[np.float32]:
        """(T, B, a) actions for (T, B, n) observations."""
        act = self._best_action if greedy else self._any_action
        with torch.no_grad():
            return np.asarray(act(observations.to(self.device)).cpu())

    def update(self, batch: Transitions) -> None:
        """One step of critics, actor and temperatures, from transitions on the device."""
        self._updated(batch.observations, batch.actions, batch.rewards, batch.following, batch.terminated)

    def _greedy(self, observations: Tensor) -> Tensor:
        mean, _ = self.actor(seen_through(self.layer, observations)).chunk(2, dim=2)
        return mean.tanh()

    def _sampled(self, observations: Tensor) -> Tensor:
        return self._sample(seen_through(self.layer, observations))[0]

    def _update(self, given: Tensor, taken: Tensor, rewards: Tensor, led_to: Tensor, terminated: Tensor) -> None:
        alpha = self.log_alpha.detach().exp()
        weights = self.loss_weights(alpha)
        with torch.no_grad():
            observations, reached = (seen_through(self.layer, x) for x in (given, led_to))
            following, log_chance = self._sample(reached)
            value = self._least(self.targets, reached, following) - alpha[:, None] * log_chance
            target = rewards + self.recipe.gamma * (1.0 - terminated) * value
        inputs = torch.cat([observations, taken], dim=2)
        errors = [(critic(inputs)[..., 0] - target).square().mean(dim=1) for critic in self.critics]
        self._step(self._critic_step, (weights * sum(errors)).sum())
        for critic, error in zip(self.critics, errors, strict=True):
            reinforce(critic, error)

        actions, log_chance = self._sample(observations)
        self.critics.requires_grad_(False)
        losses = (alpha[:, None] * log_chance - self._least(self.critics, observations, actions)).mean(dim=1)
        self._step(self._actor_step, (weights * losses).sum())
        self.critics.requires_grad_(True)
        reinforce(self.actor, losses)

        surplus = log_chance.detach().mean(dim=1) + self._target_entropy
        self._step(self._alpha_step, -(self.log_alpha * surplus).mean())
        with torch.no_grad():
            for target_values, values in zip(_values(self.targets), _values(self.critics), strict=True):
                target_values.lerp_(values, self.recipe.tau)

    @property
    def policy(self) -> dict[str, nn.Module]:
        """What acts, without what learns."""
        return {"actor": self.actor, **({} if self.layer is None else {"layer": self.layer})}

    def state(self) -> dict[str, Any]:
        parts: dict[str, Any] = {name: getattr(self, name).state_dict() for name in self._parts}
        return {**parts, "log_alpha": self.log_alpha.detach().clone()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in self._parts:
            getattr(self, name).load_state_dict(state[name])
        self.log_alpha.data.copy_(state["log_alpha"])

    @property
    def _parts(self) -> tuple[str, ...]:
        steps = ("_actor_step", "_critic_step", "_alpha_step")
        return ("actor", "critics", "targets", *steps, *(() if self.layer is None else ("layer",)))

    def loss_weights(self, alpha: Tensor) -> Tensor:
        """(T,) shares of the tasks' losses, for (T,) temperatures."""
        if self.recipe.balance == "none":
            return torch.full_like(alpha, 1.0 / self.tasks)
        return torch.softmax(-alpha if self.recipe.balance == "paper" else -alpha.log(), dim=0)

    def _sample(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Actions, (T, B, a), and the logarithm of their probability density, (T, B)."""
        mean, log_std = self.actor(observations).chunk(2, dim=2)
        log_std = log_std.clamp(*LOG_STD)
        normal = torch.randn_like(mean)
        raw = mean + log_std.exp() * normal
        # log(1 - tanh(x)^2) = 2 (log 2 - x - softplus(-2x)), which does not lose its digits for large x
        squash = 2.0 * (math.log(2.0) - raw - nn.functional.softplus(-2.0 * raw))
        log_chance = (-0.5 * normal.square() - log_std - 0.5 * math.log(2.0 * math.pi) - squash).sum(dim=2)
        return raw.tanh(), log_chance

    def _least(self, critics: nn.ModuleList, observations: Tensor, actions: Tensor) -> Tensor:
        inputs = torch.cat([observations, actions], dim=2)
        return torch.minimum(*(critic(inputs)[..., 0] for critic in critics))

    def _step(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], self.recipe.max_gradient)
        optimizer.step()


def seen_through(layer: SkillObservation | None, observations: Tensor) -> Tensor:
    """What networks see of observations, (T, B, n), behind a layer."""
    return observations if layer is None else layer(observations)


def reinforce(network: nn.Module, losses: Tensor) -> None:
    """Teach a network's router, if it has one that no gradient reaches, by the (T,) losses of its last call."""
    if isinstance(network, HardRouted):
        network.reinforce(losses.detach())


def _values(network: nn.Module) -> Iterator[Tensor]:
    """All that a copy of a network has to follow."""
    yield from network.parameters()
    yield from network.buffers()


class Replay:
    """The last steps of every task, (T, capacity, ...), on a device."""

    def __init__(self, tasks: int, capacity: int, observation: int, action: int, device: str = "cpu") -> None:
        sizes = observation, action, 1, observation, 1
        self._data = [torch.zeros(tasks, capacity, size, device=device) for size in sizes]
        self._at = self.size = 0

    def add(self, steps: Transitions) -> None:
        """(T, B, ...) of one step of the episodes; B divides the capacity."""
        count, capacity = steps.observations.shape[1], self._data[0].shape[1]
        of_one = (steps.rewards[..., None], steps.following, steps.terminated[..., None])
        for store, values in zip(self._data, (steps.observations, steps.actions, *of_one), strict=True):
            store[:, self._at : self._at + count] = values
        self._at = (self._at + count) % capacity
        self.size = min(self.size + count, capacity)

    def sample(self, count: int) -> Transitions:
        """(T, count, ...) steps of each task."""
        chosen = torch.randint(self.size, (len(self._data[0]), count), device=self._data[0].device)
        rows = torch.arange(len(chosen), device=chosen.device)[:, None]
        observations, actions, rewards, following, terminated = (store[rows, chosen] for store in self._data)
        return Transitions(observations, actions, rewards[..., 0], following, terminated[..., 0])

    def state(self) -> dict[str, Any]:
        return {"at": self._at, "data": [store[:, : self.size].clone() for store in self._data]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what was in one of the same capacity."""
        self._at, self.size = state["at"], state["data"][0].shape[1]
        for store, values in zip(self._data, state["data"], strict=True):
            store[:, : self.size] = values

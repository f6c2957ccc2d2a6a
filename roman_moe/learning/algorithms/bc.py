"""Behaviour cloning: a policy is fitted to what the demonstrator answered. The same samples, recipe and seed give the
same weights, bit for bit, on the same machine.

An expert's velocity is fitted by mean squared error. Its gripper is not: demonstrators open or close and seldom
anything between. With sigmoid(`GRIPPER_GAIN` z) as the probability of opening it is fitted by cross-entropy; an answer
that stays unsure falls inside the gripper's threshold and holds.

Losses read the raw outputs z, which the policy clips to [-1, 1]: a clip has no gradient outside. So that none of them
goes far beyond, where PPO's exploration would not show, what the gripper has there is penalised, as the gate's is.
"""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.learning.algorithms.noise import ObservationNoise
from roman_moe.learning.policies.mlp import GATE_GAIN, MLPPolicy
from roman_moe.learning.policies.sparse_moe import balance_loss
from roman_moe.learning.recipes.cloning import FitRecipe, NetworkRecipe
from roman_moe.learning.samples import Samples

WARMUP_SHARE = 0.02
GRADIENT_LIMIT = 1.0
"""Largest norm of a step's gradient; ordinary ones stay below, and a rare large one does no harm."""
GRIPPER_GAIN = 2.0 * math.log(3.0)
"""Three demonstrated answers to one reach the gripper's threshold, z = 0.5."""

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A cloned policy.

    Attributes:
        policy: with the averaged weights, in evaluation mode.
        errors: by name, on the training samples ("train_...") and on those held out ("validation_...").
    """

    policy: MLPPolicy
    errors: dict[str, float]


def train(samples: Samples, recipe: NetworkRecipe, seed: int, initial: MLPPolicy | None = None) -> Trained:
    """Clone one network.

    Args:
        initial: policy to start from, which stays as it is; random weights if None.

    Raises:
        ConfigError: if the loss is no longer finite.
    """
    torch.set_num_threads(1)  # these networks are too small to share, and other processes train beside
    stream = (seed, zlib.crc32(samples.network.encode()))  # each network draws its own numbers
    rng = np.random.default_rng(stream)
    training, validation = samples.split(recipe.validation_share, rng)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        observations = torch.from_numpy(training.observations)
        if initial is None:
            policy = new_policy(samples.spec, samples.network, recipe)
            policy.observation.fit(observations)
        else:
            policy = copy.deepcopy(initial).requires_grad_(True)
        answers, noise = torch.from_numpy(training.answers), ObservationNoise(policy.features, policy.units)

        def loss() -> Tensor:
            batch, wanted = drawn(observations, answers, recipe, noise)
            return loss_of(policy, batch, wanted, recipe)

        averaged = fit(policy, loss, recipe, policy.name)
    return Trained(averaged, _errors("train", averaged, training) | _errors("validation", averaged, validation))


def least_weight(skills: int) -> float:
    """The smallest weight that a gate of so many skills can give."""
    least = math.exp(-GATE_GAIN)
    return least / (1.0 + (skills - 1) * least)


def new_policy(spec: TaskSpec, network: str, recipe: NetworkRecipe) -> MLPPolicy:
    return MLPPolicy(spec, network, recipe.hidden, recipe.near_scales, k=recipe.gate.chosen_of(network))


def loss_of(policy: MLPPolicy, observations: Tensor, answers: Tensor, recipe: NetworkRecipe) -> Tensor:
    """The cloning loss of a batch, a scalar.

    A sparse gate's cross-entropy is that of its noisy logits before all but k are dropped: an expert that is not chosen
    has no gradient after that. Its balance losses come on top.
    """
    if policy.k:
        gating = policy.gating(observations)
        raw, logits = gating.clean / GATE_GAIN, gating.noisy
    else:
        raw = policy.raw(observations)
        logits = GATE_GAIN * raw
    if policy.name == GATE:
        # A target of exactly 1 is out of the gate's range and would drive its outputs away for ever. The clip gives no
        # gradient outside [0, 1], so it is left out here and a penalty keeps the outputs where it does nothing.
        wanted = answers.clamp(min=least_weight(len(policy.outputs)))
        wanted = wanted / wanted.sum(dim=1, keepdim=True)
        cross_entropy = -(wanted * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
        loss = cross_entropy + (raw - raw.clamp(0.0, 1.0)).square().sum(dim=1).mean()
        return loss + balance_loss(gating, recipe.gate.importance, recipe.gate.load) if policy.k else loss
    velocity, gripper = raw[:, :-1], raw[:, -1]
    opening = functional.binary_cross_entropy_with_logits(GRIPPER_GAIN * gripper, 0.5 * (1.0 + answers[:, -1]))
    outside = (gripper - gripper.clamp(-1.0, 1.0)).square().mean()
    return functional.mse_loss(velocity, answers[:, :-1]) + recipe.gripper_weight * (opening + outside)


def drawn(observations: Tensor, answers: Tensor, recipe: FitRecipe, noise: ObservationNoise) -> tuple[Tensor, Tensor]:
    """A batch of observations, with the recipe's noise, and of answers."""
    rows = torch.randint(len(observations), (recipe.batch_size,))
    batch = observations[rows]
    if recipe.noise_bound > 0.0:
        noise.add(batch, recipe.noise_bound / 3.0, recipe.noise_bound)
    return batch, answers[rows]


def fit(network: Network, loss_of_batch: Callable[[], Tensor], recipe: FitRecipe, name: str) -> Network:
    """Train `network` in place; answer a copy with the exponential moving average of its weights.

    Args:
        loss_of_batch: loss of the network on a new batch, a scalar.
        name: what an error names.

    Raises:
        ConfigError: if the loss is no longer finite.
    """
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _learning_rate(step, recipe.steps))
    for step in range(1, recipe.steps + 1):
        loss = loss_of_batch()
        if not torch.isfinite(loss):
            raise ConfigError(f"{name}: loss is {loss.item()} at step {step}: lower the recipe's learning_rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_LIMIT)
        optimiser.step()
        schedule.step()
        decay = min(recipe.ema_decay, step / (step + 10.0))  # the random start is soon forgotten
        with torch.no_grad():
            torch._foreach_lerp_(list(averaged.parameters()), list(network.parameters()), 1.0 - decay)
    return averaged


def _learning_rate(step: int, steps: int) -> float:
    """Share of the highest learning rate at a step."""
    warmup = max(1.0, WARMUP_SHARE * steps)
    return min(step / warmup, 0.5 * (1.0 + math.cos(math.pi * step / steps))) if step else 1.0 / warmup


@torch.no_grad()
def _errors(prefix: str, policy: MLPPolicy, samples: Samples) -> dict[str, float]:
    """How far the policy's answers are from the demonstrator's; nothing without samples."""
    if not len(samples.observations):
        return {}
    answered = policy(torch.from_numpy(samples.observations)).numpy()
    if policy.name == GATE:
        agree = answered.argmax(axis=1) == samples.answers.argmax(axis=1)
        return {f"{prefix}_wrong_skill": float(1.0 - agree.mean())}
    return {f"{prefix}_{name}": value for name, value in action_errors(answered, samples.answers).items()}


def action_errors(answered: NDArray[np.float32], wanted: NDArray[np.float32]) -> dict[str, float]:
    """How far an expert's actions, (N, a), are from those wanted."""
    difference = answered - wanted
    return {
        "velocity_rms": float(np.sqrt((difference[:, :-1] ** 2).mean())),
        "gripper_wrong": float((np.abs(difference[:, -1]) > 0.5).mean()),
    }

"""Behaviour cloning of many tasks by one actor: the loss of an expert (`bc`), for the squashed actions of SAC's actor.

An action is tanh(z). Its velocity is fitted by mean squared error; the gripper by cross-entropy, with sigmoid(2 z) =
(1 + tanh(z)) / 2 as the probability of opening. As an expert's, three demonstrated answers to one reach the gripper's
threshold. All tasks count alike, whatever the length of their demonstrations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roman_moe.core.features import feature_layout
from roman_moe.learning.algorithms.bc import action_errors, drawn, fit
from roman_moe.learning.algorithms.multitask_sac import MultitaskSAC, seen_through
from roman_moe.learning.algorithms.noise import ObservationNoise
from roman_moe.learning.recipes.cloning import FitRecipe
from roman_moe.learning.samples import Samples


def clone_actor(
    learner: MultitaskSAC, samples: Sequence[Samples], recipe: FitRecipe, seed: int
) -> list[dict[str, float]]:
    """Fit a learner's actor, and the layer before it, to demonstrations; its critics stay as they are.

    Args:
        samples: of each task, observed through all features.
        recipe: its batch is of each task; its `validation_share` is not read: all demonstrations teach.

    Returns:
        Of each task, how far the greedy actions are from those demonstrated.

    Raises:
        ConfigError: if the loss is no longer finite.
    """
    assert learner.layer is not None
    layout = feature_layout(samples[0].spec)
    noise = ObservationNoise(layout.names, [layout.units[name] for name in layout.names])
    shown = [(torch.from_numpy(each.observations), torch.from_numpy(each.answers)) for each in samples]
    learner.layer.fit(torch.cat([observations for observations, _ in shown]))

    def loss() -> Tensor:
        batches = [drawn(observations, answers, recipe, noise) for observations, answers in shown]
        observations, answers = (torch.stack(part) for part in zip(*batches, strict=True))
        mean = learner.actor(seen_through(learner.layer, observations))[..., : answers.shape[2]]
        return loss_of(mean, answers, recipe.gripper_weight)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        averaged = fit(learner.actor, loss, recipe, learner.recipe.network)
    learner.actor.load_state_dict(averaged.state_dict())
    return [_errors(learner, number, each) for number, each in enumerate(samples)]


def loss_of(mean: Tensor, answers: Tensor, gripper_weight: float) -> Tensor:
    """The loss of means before tanh, (T, B, a), for demonstrated actions, (T, B, a): a scalar."""
    opening = functional.binary_cross_entropy_with_logits(2.0 * mean[..., -1], 0.5 * (1.0 + answers[..., -1]))
    return functional.mse_loss(mean[..., :-1].tanh(), answers[..., :-1]) + gripper_weight * opening


def _errors(learner: MultitaskSAC, number: int, samples: Samples) -> dict[str, float]:
    observations = torch.from_numpy(samples.observations).expand(learner.tasks, -1, -1)  # a row's place is its task
    return action_errors(np.asarray(learner.act(observations, greedy=True)[number]), samples.answers)

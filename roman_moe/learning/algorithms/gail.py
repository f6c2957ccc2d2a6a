"""GAIL's discriminator: tells a demonstrator's states from the learner's, and so rewards being where it would be.

Ho and Ermon, "Generative adversarial imitation learning", NeurIPS 2016; on states alone, with the gradient penalty of
Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017. ROMAN's trainer (ml-agents, `gail/model.py`)
penalises the slope of D itself, behind its sigmoid, and draws a share for each number of an input. Behind the
sigmoid a slope of one takes one of four or more before it: on D's logit, the other choice, the same weight holds D far
smoother.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from roman_moe.learning.policies.mlp import ObservationLayer

EPSILON = 1e-7  # in -log(1 - D + epsilon), as in ROMAN's trainer


class Discriminator(nn.Module):
    """D, from observations (B, n) to logits (B,): above 0 for states that look like a demonstrator's.

    Args:
        observation: fitted layer that normalises; copied.
        hidden: sizes of the hidden layers.
        action_size: numbers of the action that D sees as well; 0 for states only.
    """

    def __init__(self, observation: ObservationLayer, hidden: Sequence[int], action_size: int = 0) -> None:
        super().__init__()
        self.observation = copy.deepcopy(observation)
        self.action_size = action_size
        sizes = (observation.size + action_size, *hidden)
        layers = [module for a, b in pairwise(sizes) for module in (nn.Linear(a, b), nn.SiLU())]
        self.body = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def inputs(self, observations: Tensor, actions: Tensor | None = None) -> Tensor:
        """What the body sees, (B, size): normalised observations, and actions if it takes them."""
        seen: Tensor = self.observation(observations)
        return torch.cat([seen, actions], dim=1) if self.action_size and actions is not None else seen

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.body(inputs)
        return logits.squeeze(1)

    @torch.no_grad()
    def reward(self, observations: NDArray[np.float32], actions: NDArray[np.float32]) -> NDArray[np.float64]:
        """r_I = -log(1 - D), (B,)."""
        logits = self(self.inputs(torch.from_numpy(observations), torch.from_numpy(actions)))
        return -torch.log(1.0 - torch.sigmoid(logits) + EPSILON).double().numpy()


def discriminator_loss(
    discriminator: Discriminator, expert: Tensor, learner: Tensor, gradient_penalty: float, penalty_of: str = "logit"
) -> tuple[Tensor, Tensor]:
    """Loss of a batch of inputs from each side, (B, size), a scalar; and the share that D gets right.

    Cross-entropy, plus `gradient_penalty` times the mean of (|gradient| - 1)^2 at random points between the two sides,
    the gradient of D's "logit" or, as in ROMAN's trainer, of its "probability".
    """
    expert_logits, learner_logits = discriminator(expert), discriminator(learner)
    loss = functional.softplus(-expert_logits).mean() + functional.softplus(learner_logits).mean()
    if gradient_penalty:
        of_probability = penalty_of == "probability"
        share = torch.rand(expert.shape if of_probability else (len(expert), 1))
        between = (share * expert + (1.0 - share) * learner).requires_grad_(True)
        logits = discriminator(between)
        judged = torch.sigmoid(logits) if of_probability else logits
        (gradient,) = torch.autograd.grad(judged.sum(), between, create_graph=True)
        loss = loss + gradient_penalty * (gradient.norm(dim=1) - 1.0).square().mean()
    right = 0.5 * ((expert_logits > 0.0).float().mean() + (learner_logits < 0.0).float().mean())
    return loss, right.detach()

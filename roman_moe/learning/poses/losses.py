"""What the estimator's network is trained for: heat maps, pixels, heights, turns, visibility, and honest sigmas."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from roman_moe.learning.poses.network import STRIDE, PosePredictions

HEAT_SIGMA = 1.0  # of the Gaussian that a heat map is to be [cells]
NEAR = 4.0 * STRIDE  # distance within which a pixel is drawn to its true place [pixels]
CENTIMETRE = 0.01  # [m]
FOCUS, FORGIVENESS = 2.0, 4.0
"""Exponents of the focal loss: of what is easy, and of cells near the object."""
WEIGHTS = {"heat": 1.0, "pixel": 0.5, "pixel_sigma": 0.2, "height": 0.5, "turn": 1.0, "presence": 0.5}


@dataclass(frozen=True)
class Labels:
    """The truth about n objects in b images.

    Attributes:
        pixels: where each is, (b, n, 2) [pixels].
        heights: z in the base frame, (b, n) [m].
        turns: cosine and sine, as the network answers them, (b, n, 2).
        visible: whether an object can be seen, (b, n), as numbers.
        turned: whether an object's yaw matters, (n,), as numbers.
    """

    pixels: Tensor
    heights: Tensor
    turns: Tensor
    visible: Tensor
    turned: Tensor


def losses(answers: PosePredictions, labels: Labels) -> dict[str, Tensor]:
    """Each part of the loss, unweighted; all but visibility over visible objects alone."""
    visible = labels.visible
    off = answers.pixels - labels.pixels
    distance = off.square().sum(-1).add(1e-6).sqrt()
    raised = (answers.heights - labels.heights) / CENTIMETRE
    log_near = _log_near(answers, labels)
    heat = -(functional.softmax(log_near, 2) * functional.log_softmax(answers.logits.flatten(2), 2)).sum(2)
    near = visible * (distance.detach() < NEAR)  # a peak elsewhere does not move here step by step: heat maps make it
    # Student's t of 4 degrees of freedom instead of a Gaussian: a few objects that are taken for others must not decide
    # what all sigmas are
    student = 3.0 * torch.log1p(0.25 * (distance.detach() * (-answers.log_pixel_sigmas).exp()).square())
    laplace = raised.abs() * (-answers.log_height_sigmas).exp() + answers.log_height_sigmas
    turn = (answers.turns - labels.turns).square().sum(-1) * labels.turned
    return {
        "heat": _mean(heat, visible),
        "pixel": _mean(functional.smooth_l1_loss(off, torch.zeros_like(off), reduction="none").sum(-1), near),
        "pixel_sigma": _mean(student + 2.0 * answers.log_pixel_sigmas, visible),
        "height": _mean(laplace + 0.1 * raised.abs(), visible),
        "turn": _mean(turn, visible),
        "presence": _presence(answers, labels, log_near),
    }


def total(parts: dict[str, Tensor]) -> Tensor:
    return torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()


def _presence(answers: PosePredictions, labels: Labels, log_near: Tensor) -> Tensor:
    """Focal loss of CenterNet (Zhou et al. 2019, equation 1), per visible object. What is hidden is nowhere.

    A cell counts the less, the nearer it is to the one that shows the object.
    """
    near = log_near.exp() * labels.visible[..., None]
    shown = (near > 0.0) & (near == near.amax(2, keepdim=True))
    logits = answers.presence.flatten(2)
    share = logits.sigmoid()
    missed = -((1.0 - share) ** FOCUS) * functional.logsigmoid(logits)
    claimed = -((1.0 - near) ** FORGIVENESS) * share**FOCUS * functional.logsigmoid(-logits)
    return torch.where(shown, missed, claimed).sum() / labels.visible.sum().clamp(min=1.0)


def _log_near(answers: PosePredictions, labels: Labels) -> Tensor:
    """Logarithm of a Gaussian about the true place that is 1 there, over all cells, (b, n, h w)."""
    height, width = answers.logits.shape[2:]
    x, y = ((labels.pixels - 0.5 * (STRIDE - 1)) / STRIDE).unbind(-1)
    along_x = -(torch.arange(width) - x[..., None]).square() / (2.0 * HEAT_SIGMA**2)
    along_y = -(torch.arange(height) - y[..., None]).square() / (2.0 * HEAT_SIGMA**2)
    return (along_y[..., None] + along_x[..., None, :]).flatten(2)


def _mean(values: Tensor, visible: Tensor) -> Tensor:
    return (values * visible).sum() / visible.sum().clamp(min=1.0)


def turn_of(yaws: Tensor, symmetries: Tensor) -> Tensor:
    """Cosine and sine of yaws from the azimuth of their rays [rad], (b, n), times the symmetries, (n,): (b, n, 2)."""
    angles = symmetries * yaws
    return torch.stack([angles.cos(), angles.sin()], -1)

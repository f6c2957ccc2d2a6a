"""The sparsely gated mixture-of-experts layer (Shazeer et al., "Outrageously large neural networks", ICLR 2017).

Numbers of equations are the paper's. With W_g and W_n of the gate:

    G(x) = softmax(keep_top_k(H(x), k))                                         (3), (5)
    H(x)_i = (x W_g)_i + N(0, 1) softplus((x W_n)_i)                            (4)
    L_importance = w CV(importance)^2, importance_i = sum_x G(x)_i              (6), (7)
    P(x, i) = Phi(((x W_g)_i - kth_excluding(H(x), k, i)) / softplus((x W_n)_i))  (8), (9)
    L_load = w CV(load)^2, load_i = sum_x P(x, i)                               (10), (11)

CV is the coefficient of variation over the experts. An expert whose weight is 0 is not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, eq=False)
class Gating:
    """What a gate decided for a batch.

    Attributes:
        weights: (B, n), k of each row above 0, with sum 1.
        clean: (B, n) logits without noise, x W_g.
        noisy: (B, n) logits that were compared, H; the clean ones where there is no noise.
        deviation: (B, n) standard deviation of the noise.
        k: experts of each row.
    """

    weights: Tensor
    clean: Tensor
    noisy: Tensor
    deviation: Tensor
    k: int

    @property
    def importance(self) -> Tensor:
        """(n,) sum of the weights (6)."""
        return self.weights.sum(dim=0)

    @property
    def chances(self) -> Tensor:
        """(B, n) chance that an expert would be chosen again, if its own noise alone were drawn again (8), (9)."""
        if self.k == self.noisy.shape[1]:
            return torch.ones_like(self.noisy)
        highest = self.noisy.topk(self.k + 1, dim=1).values
        inside, outside = highest[:, -1:], highest[:, -2:-1]  # what a chosen one, and another, has to beat
        threshold = torch.where(self.noisy >= outside, inside, outside)
        return torch.special.ndtr((self.clean - threshold) / self.deviation)

    @property
    def load(self) -> Tensor:
        """(n,) expected number of rows of each expert, smooth in the gate's weights (10)."""
        return self.chances.sum(dim=0)


class NoisyTopKGate(nn.Module):
    """Weighs n experts for x, (B, inputs), k of them above 0; the noise is there in training mode alone.

    Both matrices begin at 0, so that all experts are chosen equally often.

    Raises:
        ValueError: if k is not from 2 to n. The weight of a single expert is always 1, so that the gate gets no
            gradient.
    """

    def __init__(self, inputs: int, experts: int, k: int) -> None:
        super().__init__()
        if not 2 <= k <= experts:
            raise ValueError(f"k is {k}: expected 2 to {experts}, the number of experts")
        self.k = k
        self.logits = nn.Linear(inputs, experts, bias=False)
        self.noise = nn.Linear(inputs, experts, bias=False)
        for layer in (self.logits, self.noise):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, normal: Tensor | None = None) -> Gating:
        """Decide for a batch.

        Args:
            x: (B, inputs).
            normal: (B, n) draws of the standard normal distribution; drawn here, in training mode, if None.
        """
        clean = self.logits(x)
        if normal is None and self.training:
            normal = torch.randn_like(clean)
        return noisy_top_k(clean, self.noise(x), self.k, normal)


class SparseMoE(nn.Module):
    """A layer of experts, each from (B, inputs) to (B, outputs), of which each row runs k."""

    def __init__(self, inputs: int, experts: Sequence[nn.Module], k: int) -> None:
        super().__init__()
        self.gate = NoisyTopKGate(inputs, len(experts), k)
        self.experts = nn.ModuleList(experts)

    def forward(self, x: Tensor) -> tuple[Tensor, Gating]:
        """The weighted sum of the experts' answers, and what the gate decided, for `balance_loss`."""
        gating = self.gate(x)
        parts = []
        for weights, expert in zip(gating.weights.T, self.experts, strict=True):
            rows = weights.nonzero()[:, 0]
            if len(rows):
                parts.append((rows, weights[rows, None] * expert(x[rows])))
        total = parts[0][1].new_zeros(len(x), parts[0][1].shape[1])
        for rows, part in parts:
            total = total.index_add(0, rows, part)
        return total, gating


def noisy_top_k(clean: Tensor, noise: Tensor, k: int, normal: Tensor | None) -> Gating:
    """Decide for a batch by logits and the raw scale of their noise, (B, n) each; without noise if `normal` is None."""
    deviation = nn.functional.softplus(noise)
    noisy = clean if normal is None else clean + normal * deviation
    return Gating(top_k_weights(noisy, k), clean, noisy, deviation, k)


def top_k_weights(logits: Tensor, k: int) -> Tensor:
    """Softmax over the k largest of each row, (B, n), exactly 0 for the others: (3), (5)."""
    highest, chosen = logits.topk(k, dim=1)
    return torch.zeros_like(logits).scatter(1, chosen, highest.softmax(dim=1))


def balance_loss(gating: Gating, importance: float = 0.1, load: float = 0.1) -> Tensor:
    """What keeps all experts in use, (7) + (11); the weights are those of the paper's language models."""
    return importance * squared_variation(gating.importance) + load * squared_variation(gating.load)


def squared_variation(values: Tensor) -> Tensor:
    """Square of the coefficient of variation of (n,) values."""
    return values.var(unbiased=False) / values.mean().square()

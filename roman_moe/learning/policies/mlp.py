"""The policies of experts and gate, as torch modules that take raw features and answer what the controller reads.

Everything between a feature and an answer is inside: relative positions, normalisation, clipping, squashing. So what is
trained is what is exported, and a trainer can take the same module as the mean of its action distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from roman_moe.core.features import feature_layout
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.learning.policies.geometry import relative_matrix, relative_turns
from roman_moe.learning.policies.sparse_moe import Gating, noisy_top_k

NORMALISED_LIMIT = 5.0
"""Normalised observations are clipped to +- this (ml-agents `normalize: true`)."""

GATE_GAIN = 10.0
"""ROMAN's gate: clip to [0, 1], times this, softmax; one output at 1 and the rest at 0 give a weight of 0.99973."""

MIN_STD = 0.02
"""Least standard deviation to divide by [m, m/s, or 1]: a fixed target varies by noise alone, which must stay small."""


class ObservationLayer(nn.Module):
    """From raw features, (B, n), to what the MLP sees, (B, size).

    Normalised features, relative positions and relative turns, clipped. Then these relative numbers squashed by tanh(r
    / scale) for each scale: they resolve millimetres near contact and give only the direction far away.
    """

    def __init__(self, features: Sequence[str], units: Sequence[str], near_scales: Sequence[float]) -> None:
        super().__init__()
        relative = torch.as_tensor(relative_matrix(features), dtype=torch.float32)
        turns = relative_turns(features, units)
        observed, extra = relative.shape[0], relative.shape[1] + 2 * len(turns)
        self.near_scales = tuple(near_scales)
        self.size = observed + extra * (1 + len(self.near_scales))
        self.relative: Tensor
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("relative", relative)
        columns = [(turn.end, turn.end + 1, turn.origin, turn.origin + 1) for turn in turns]
        doublings = [turn.doublings for turn in turns]
        self._most_doublings = max(doublings, default=0)
        self._columns: Tensor  # (t, 4)
        self._doublings: Tensor  # (t,)
        self.register_buffer("_columns", torch.tensor(columns, dtype=torch.long).reshape(-1, 4), persistent=False)
        self.register_buffer("_doublings", torch.tensor(doublings), persistent=False)
        self.register_buffer("mean", torch.zeros(observed + extra))
        self.register_buffer("std", torch.ones(observed + extra))

    def fit(self, observations: Tensor) -> None:
        """Take mean and standard deviation from observations, (N, n)."""
        values = torch.cat([observations, self._relative(observations)], dim=1).double()
        self.mean.copy_(values.mean(dim=0))
        self.std.copy_(values.std(dim=0, unbiased=False).clamp(min=MIN_STD))

    def depends_on(self, features: Tensor) -> Tensor:
        """Which of the numbers that the MLP sees, (size,), any of these features, (n,) bool, has a part in."""
        positions = features.float() @ self.relative.abs() > 0.0
        relative = torch.cat([positions, features[self._columns].any(dim=1).repeat_interleave(2)])
        return torch.cat([features, relative, *[relative] * len(self.near_scales)])

    def _relative(self, observation: Tensor) -> Tensor:
        positions = observation @ self.relative
        if not self._columns.numel():
            return positions
        end_sine, end_cosine, sine, cosine = (observation.index_select(1, columns) for columns in self._columns.T)
        for step in range(self._most_doublings):
            double, twice = self._doublings > step, 2.0 * sine * cosine
            cosine = torch.where(double, cosine * cosine - sine * sine, cosine)
            sine = torch.where(double, twice, sine)
        across, along = end_sine * cosine - end_cosine * sine, end_cosine * cosine + end_sine * sine
        return torch.cat([positions, torch.stack([across, along], dim=2).flatten(1)], dim=1)

    def forward(self, observation: Tensor) -> Tensor:
        relative = self._relative(observation)
        normalised = (torch.cat([observation, relative], dim=1) - self.mean) / self.std
        near = [torch.tanh(relative / scale) for scale in self.near_scales]
        return torch.cat([normalised.clamp(-NORMALISED_LIMIT, NORMALISED_LIMIT), *near], dim=1)


class MLPPolicy(nn.Module):
    """Policy of one expert, (B, n) to actions (B, a) in [-1, 1], or of the gate, (B, n) to weights (B, k) summing to 1.

    Attributes:
        name: skill of the expert, or "gate".
        features: that it observes, in order.
        outputs: names of what it answers, in order.
        hidden: sizes of the hidden layers.
        k: experts that a sparse gate gives a weight; 0 for all, and for an expert.
    """

    def __init__(
        self,
        spec: TaskSpec,
        name: str,
        hidden: Sequence[int] = (256, 256, 256),
        near_scales: Sequence[float] = (0.05, 0.01),
        features: Sequence[str] | None = None,
        k: int = 0,
    ) -> None:
        super().__init__()
        self.spec, self.name = spec, name
        self.features = tuple(feature_layout(spec).observations[name] if features is None else features)
        self.outputs = spec.skill_names if name == GATE else spec.action.layout
        self.units = tuple(feature_layout(spec).units[name] for name in self.features)
        self.observation = ObservationLayer(self.features, self.units, near_scales)
        self.hidden = tuple(hidden)
        sizes = (self.observation.size, *hidden)
        self.body = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.head = nn.Linear(sizes[-1], len(self.outputs))
        self.k = k
        if k:
            self.noise = nn.Linear(sizes[-1], len(self.outputs), bias=False)
            for parameter in (self.head.weight, self.head.bias, self.noise.weight):
                nn.init.zeros_(parameter)  # all experts are chosen equally often

    def raw(self, observation: Tensor) -> Tensor:
        """Output of the head before it is limited, (B, k)."""
        return self.head(self._hidden(observation))

    def gating(self, observation: Tensor) -> Gating:
        """What a sparse gate decides for (B, n), with noise in training mode alone.

        The logits are 10 raw, without the clip of `gate_weights`, which has no gradient outside [0, 1].
        """
        x = self._hidden(observation)
        clean = GATE_GAIN * self.head(x)
        return noisy_top_k(clean, self.noise(x), self.k, torch.randn_like(clean) if self.training else None)

    def _hidden(self, observation: Tensor) -> Tensor:
        x: Tensor = self.observation(observation)
        for layer in self.body:
            x = nn.functional.silu(layer(x))
        return x

    def limit(self, raw: Tensor) -> Tensor:
        """What the controller reads: an action, or weights, (B, k).

        An action is clipped, as ml-agents does it, not squashed by tanh: a cloned gripper's raw output went to 9 there,
        where tanh has no slope for PPO.
        """
        return gate_weights(raw, self.k) if self.name == GATE else raw.clamp(-1.0, 1.0)

    def forward(self, observation: Tensor) -> Tensor:
        return self.limit(self.raw(observation))


def gate_weights(raw: Tensor, k: int = 0) -> Tensor:
    """ROMAN's weights of a gate's raw outputs, (B, n): softmax(10 clip(raw, 0, 1)).

    Of a sparse gate, over its k largest outputs, and exactly 0 for the others.
    """
    if not k:
        return torch.softmax(GATE_GAIN * raw.clamp(0.0, 1.0), dim=1)
    highest, chosen = raw.topk(k, dim=1)
    return (raw - raw).scatter(1, chosen, gate_weights(highest))  # ONNX makes zeros of a shape, which may be any size

"""Noise on observations that were recorded already, as `sim.pose_source.TruthPoses` would have added it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from roman_moe.learning.policies.geometry import Planar, object_columns, planar_features
from roman_moe.sim.pose_source import NOISE_ARM


class ObservationNoise:
    """Adds noise to positions of objects and to the angles about the vertical of those that are observed turned.

    Args:
        features: of an observation, in order.
    """

    def __init__(self, features: Sequence[str], units: Sequence[str]) -> None:
        self._positions = torch.from_numpy(object_columns(features))
        self._turned: list[list[Planar]] = list(planar_features(features, units).values())

    def add(self, observations: Tensor, sigma: Tensor | float, limit: Tensor | float) -> None:
        """Change observations, (B, n), in place.

        Args:
            sigma: standard deviation of a position, (B, 1) or one for all [m].
            limit: at which the noise is clipped, likewise.
        """
        count = len(observations)
        observations[:, self._positions] += _draw(count, len(self._positions), sigma, limit)
        if not self._turned:
            return
        angles = _draw(count, len(self._turned), sigma, limit) / NOISE_ARM
        for angle, features in zip(angles.unbind(dim=1), self._turned, strict=True):
            for each in features:
                cosine, sine = torch.cos(each.fold * angle), torch.sin(each.fold * angle)
                x, y = observations[:, each.x].clone(), observations[:, each.y].clone()
                observations[:, each.x] = cosine * x - sine * y
                observations[:, each.y] = sine * x + cosine * y


def _draw(rows: int, columns: int, sigma: Tensor | float, limit: Tensor | float) -> Tensor:
    noise = torch.randn(rows, columns) * sigma
    if isinstance(limit, Tensor):
        return torch.maximum(torch.minimum(noise, limit), -limit)
    return noise.clamp(-limit, limit)

"""Noise of the pose source: white, independent per tick, object and axis; on object and target positions only.

ROMAN's public code (`GaussianDistribution.cs`) calls the *clip bound* L the noise level and draws with sigma = L / 3;
its shipped scenes have L = 5 mm. Here one draw serves all networks of a tick, because in the graph they all read the
same scene; ROMAN draws anew for each network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import ObjectPoses, SceneState, rotated

NOISE_ARM = 0.1  # [m] a marker's size: 5 mm on either side of it are 0.05 rad
NOISE_KINDS = ("clipped", "gaussian")


@dataclass(frozen=True)
class PoseNoise:
    """Noise on object positions.

    Attributes:
        bound: L [m]; sigma is a third of it.
        kind: "clipped" at +-L as in ROMAN, or plain "gaussian" with the same sigma.
    """

    bound: float
    kind: str = "clipped"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.bound) and self.bound >= 0.0):
            raise ConfigError(f"noise bound is {self.bound}: expected metres, 0 or more")
        if self.kind not in NOISE_KINDS:
            raise ConfigError(f"unknown noise kind {self.kind!r}: expected one of {', '.join(NOISE_KINDS)}")

    def apply(self, state: SceneState, rng: np.random.Generator) -> SceneState:
        """The state as a noisy pose source sees it. Draws even at bound 0, so that seeds stay comparable."""
        poses = self.apply_to(state.spec, state.poses, rng)
        return state.with_objects(poses.positions, poses.orientations)

    def apply_to(self, spec: TaskSpec, poses: ObjectPoses, rng: np.random.Generator) -> ObjectPoses:
        """A task's poses as a noisy pose source sees them; see `apply`.

        Of an orientation that matters, the angle about the vertical is as wrong as a position is at `NOISE_ARM`.
        """
        positions = poses.positions + self._draw(poses.positions.shape, rng)
        turned = _turned(spec)
        if not turned:
            return replace(poses, positions=positions)
        orientations = poses.orientations.copy()
        for i, angle in zip(turned, self._draw((len(turned),), rng) / NOISE_ARM, strict=True):
            orientations[i] = rotated(orientations[i], np.array([0.0, 0.0, angle]))
        return replace(poses, positions=positions, orientations=orientations)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        draw = rng.standard_normal(shape) * (self.bound / 3.0)
        return np.minimum(np.maximum(draw, -self.bound), self.bound) if self.kind == "clipped" else draw


@lru_cache(maxsize=16)
def _turned(spec: TaskSpec) -> tuple[int, ...]:
    """Rows of the objects whose orientations matter."""
    return tuple(i for i, each in enumerate(spec.objects.values()) if each.orientation != "none")


NO_NOISE = PoseNoise(0.0)
"""Poses as they are."""

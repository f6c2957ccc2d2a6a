"""Noise of the pose source: white, independent per tick, object and axis; on object and target positions only.

ROMAN's public code (`GaussianDistribution.cs`) calls the *clip bound* L the noise level and draws with sigma = L / 3;
its shipped scenes have L = 5 mm. Here one draw serves all networks of a tick, because in the graph they all read the
same scene; ROMAN draws anew for each network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roman_moe.core.errors import ConfigError
from roman_moe.core.state import SceneState

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
        draw = rng.standard_normal(state.object_positions.shape) * (self.bound / 3.0)
        if self.kind == "clipped":
            np.clip(draw, -self.bound, self.bound, out=draw)
        return state.with_objects(state.object_positions + draw)

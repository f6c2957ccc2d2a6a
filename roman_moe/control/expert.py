"""An expert: one skill's network, from features to an action."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.network import Network


class Expert:
    """The network of one skill.

    Attributes:
        skill: its name.
        network: what answers.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.skill = network.metadata.name

    def action(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Action, (4,) in [-1, 1], for all features of a scene (`core.features.feature_vector`), (F,)."""
        return self.network(features)

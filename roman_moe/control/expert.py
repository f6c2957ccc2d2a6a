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
        self._no_answer = np.full(len(network.metadata.outputs), np.nan)

    def action(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Action, (a,) in [-1, 1], for all features of a scene (`FeatureLayout.vector`), (F,)."""
        return self.network(features)

    def answer(self, features: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Action, or NaN for "no answer" if an object that it observes is not usable, (a,).

        Args:
            features: of a scene, (F,).
            usable: which objects may be acted on, (n,).
        """
        return self.action(features) if self.network.sees(usable) else self._no_answer

"""The gate: ROMAN's manipulation network, from features to one weight per skill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.network import Network


class Gate:
    """The gating network. Its scaling and softmax are inside its ONNX graph: what it answers are the weights.

    Attributes:
        skills: that it weighs, in order.
        network: what answers.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.skills = network.metadata.outputs

    def answer(self, features: NDArray[np.float64], usable: Sequence[bool]) -> NDArray[np.float64]:
        """Weights, or NaN for "no answer" if an object that it observes is not usable, (n,).

        Args:
            features: of a scene, (F,).
            usable: which objects may be acted on.
        """
        return self.weights(features) if self.network.sees(usable) else np.full(len(self.skills), np.nan)

    def weights(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights, (n,) summing to 1, for all features of a scene (`FeatureLayout.vector`), (F,)."""
        return self.network(features)

"""The gate: ROMAN's manipulation network, from features to one weight per skill."""

from __future__ import annotations

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

    def weights(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights, (n,) summing to 1, for all features of a scene (`core.features.feature_vector`), (F,)."""
        return self.network(features)

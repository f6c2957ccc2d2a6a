"""An expert: one skill's network, from features to an action."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.network import Network


class Expert:
    """The network of one skill.

    Attributes:
        skill: its name.
        network: what answers.
        no_answer: NaN, (a,).
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.skill = network.metadata.name
        self.no_answer = np.full(len(network.metadata.outputs), np.nan)

    def action(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Action, (a,) in [-1, 1], for all features of a scene (`FeatureLayout.vector`), (F,)."""
        return self.network(features)

    def answer(self, features: NDArray[np.float64], usable: Sequence[bool]) -> NDArray[np.float64]:
        """Action, or NaN for "no answer" if an object that it observes is not usable, (a,).

        Args:
            features: of a scene, (F,).
            usable: which objects may be acted on.
        """
        return self.action(features) if self.network.sees(usable) else self.no_answer


def answers(experts: Sequence[Expert], features: NDArray[np.float64], usable: Sequence[bool]) -> NDArray[np.float64]:
    """Those of all experts, (n, a), as `Expert.answer` gives them.

    All are fed before the first one runs: the runtime is faster with nothing else between its calls.
    """
    everything = all(usable)
    seeing = [everything or expert.network.sees(usable) for expert in experts]
    networks = [expert.network for expert, sees in zip(experts, seeing, strict=True) if sees]
    for network in networks:
        network.feed(features)
    for network in networks:
        network.attempt()
    rows = [expert.network.answer if sees else expert.no_answer for expert, sees in zip(experts, seeing, strict=True)]
    return np.array(rows, dtype=np.float64)

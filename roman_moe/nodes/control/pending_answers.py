"""The answers of gate and experts to the present scene and to later ones: an answer may arrive before its scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.operator import drop_latest
from roman_moe.control.rates import Rates


class PendingAnswers:
    """Weights by gate tick, and actions by stamp and expert; NaN stands for "no answer".

    Args:
        size: of an action.
        count: of the experts.

    Attributes:
        weights: by gate tick, (n,) each.
        actions: by stamp [ns], then expert, (a,) each.
        stamp: of the present scene [ns].
    """

    def __init__(self, rates: Rates, size: int, count: int) -> None:
        self._rates, self._shape = rates, (count, size)
        self.clear()

    def clear(self) -> None:
        """An episode begins: its stamps come anew."""
        self.weights: dict[int, NDArray[np.float64]] = {}
        self.actions: dict[int, dict[int, NDArray[np.float64]]] = {}
        self.stamp = -1

    def begin(self, stamp: int) -> None:
        """A scene is the present one: what only earlier scenes need is dropped, decided or not."""
        self.stamp = stamp
        gate_tick = self._rates.gate_tick(stamp)
        self.actions = {then: actions for then, actions in self.actions.items() if then >= stamp}
        self.weights = {tick: weights for tick, weights in self.weights.items() if tick >= gate_tick}

    def add_weights(self, stamp: int, weights: NDArray[np.float64]) -> bool:
        """Keep what a later or the present scene needs; whether it agrees with what is known of its tick."""
        tick = self._rates.tick(stamp)
        if tick < self._rates.gate_tick(self.stamp):
            return True
        known = self.weights.get(tick)
        if known is not None and np.isfinite(known).all() and not np.array_equal(known, weights):
            return False
        self.weights[tick] = weights
        drop_latest(self.weights)
        return True

    def add_action(self, stamp: int, expert: int, action: NDArray[np.float64]) -> bool:
        """Keep what a later or the present scene needs; whether it agrees with what is known of this expert."""
        if stamp < self.stamp:
            return True
        known = self.actions.setdefault(stamp, {}).setdefault(expert, action)
        drop_latest(self.actions)
        return known is action or np.array_equal(known, action, equal_nan=True)

    def present_weights(self) -> NDArray[np.float64] | None:
        """Those of the gate tick; where the gate had no answer then, its first one since, or its latest message."""
        weights = None
        for tick in range(self._rates.gate_tick(self.stamp), self._rates.tick(self.stamp) + 1):
            weights = self.weights.get(tick)
            if weights is not None and np.isfinite(weights).all():
                return weights
        return weights

    def present_actions(self) -> NDArray[np.float64]:
        """Of all experts, (n, a); NaN where there is none."""
        actions = np.full(self._shape, np.nan)
        for expert, action in self.actions.get(self.stamp, {}).items():
            actions[expert] = action
        return actions

    def missing(self, needed: Sequence[bool], given: NDArray[np.float64] | None = None) -> list[int] | None:
        """Experts with a weight that are needed and have not answered the present scene; None if the gate has not.

        Args:
            needed: of each expert, whether it counts.
            given: weights in the gate's place, (n,); the gate's if None.
        """
        weights = self.present_weights() if given is None else given
        if weights is None:
            return None
        actions = self.actions.get(self.stamp, {})
        # plain numbers: this runs at every message, and numpy takes ten times as long for seven of them
        return [i for i, w in enumerate(weights.tolist()) if w > 0.0 and i not in actions and needed[i]]

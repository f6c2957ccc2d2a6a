"""An operator who drives in the policy's place: take-over, hand-back and answers.

An operator's answer to a scene, an action or weights for the experts, takes over from that scene on; an answer of NaN
hands back. Whoever has taken over is waited for at each scene, as experts are. After a hand-back the policy's actions
change over as after a swap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.swap import Changeover, as_action

LIMIT = 8
"""Answers kept at once: messages may come before their scene, but a flood of wrong stamps must not fill the memory."""

Array = NDArray[np.float64]


class Operator:
    """The answers of an operator.

    Args:
        ramp: from the operator's last action to the policy's own [s].
    """

    def __init__(self, ramp: float) -> None:
        self._changeover = Changeover(ramp)
        self._drives = False
        self.clear()

    def clear(self) -> None:
        """An episode begins: its stamps come anew. Who drives goes on driving."""
        self._answers: dict[int, tuple[Array, bool]] = {}
        self._last: Array | None = None

    def add(self, stamp: int, answer: Array, weights: bool) -> bool:
        """Keep an answer to a scene [ns], an action or weights; whether it agrees with what is known of that scene."""
        known, kind = self._answers.setdefault(stamp, (answer, weights))
        drop_latest(self._answers)
        return kind is weights and np.array_equal(known, answer, equal_nan=True)

    def begin(self, stamp: int) -> None:
        """A scene is the present one: what was answered to earlier ones says who drives now."""
        for then in sorted(then for then in self._answers if then < stamp):
            self._drives = not _hands_back(self._answers.pop(then)[0])

    def drives_at(self, stamp: int) -> bool:
        """Whether the operator has answered the present scene, or is still to."""
        found = self._answers.get(stamp)
        return self._drives if found is None else not _hands_back(found[0])

    def action(self, stamp: int) -> Array | None:
        """The operator's for the present scene, (a,); None if there is none."""
        return self._answer(stamp, False)

    def weights(self, stamp: int) -> Array | None:
        """The operator's for the present scene, (n,); None if there are none."""
        return self._answer(stamp, True)

    def _answer(self, stamp: int, weights: bool) -> Array | None:
        answer, kind = self._answers.get(stamp, (None, weights))
        return None if answer is None or kind is not weights or _hands_back(answer) else answer

    def drove(self, action: Array) -> None:
        """An action that the operator gave, or chose by weights, was used, (a,)."""
        self._last = action

    def after_hand_back(self, stamp: int, action: Array) -> Array:
        """The policy's action for a scene, (a,): changed over from the operator's last if that was a moment ago."""
        if self._last is not None:
            self._changeover.begin(stamp, self._last - action)
            self._last = None
        return self._changeover(stamp, action, as_action)


def drop_latest(pending: dict[int, Any]) -> None:
    """Drop the latest of too many by stamp: what the present scene needs is the earliest."""
    if len(pending) > LIMIT:
        del pending[max(pending)]


def _hands_back(answer: Array) -> bool:
    return bool(np.isnan(answer).all())

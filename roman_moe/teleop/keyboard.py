"""The keyboard of a terminal, over SSH as well. A terminal tells when a key goes down and repeats, never when it comes
up: an axis moves while its key was last seen within `HELD`. Until a terminal repeats a key, it takes 0.25 to 0.5 s."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from roman_moe.teleop.device import AXES, Device, OperatorEvent, OperatorInput

HELD = 0.15  # [s]

MOTIONS = {
    "w": (0, 1.0),
    "s": (0, -1.0),
    "a": (1, 1.0),
    "d": (1, -1.0),
    "e": (2, 1.0),
    "c": (2, -1.0),
    "u": (3, 1.0),
    "o": (3, -1.0),
    "i": (4, 1.0),
    "k": (4, -1.0),
    "j": (5, 1.0),
    "l": (5, -1.0),
    "\x1b[A": (0, 1.0),
    "\x1b[B": (0, -1.0),
    "\x1b[D": (1, 1.0),
    "\x1b[C": (1, -1.0),
    "\x1b[5~": (2, 1.0),
    "\x1b[6~": (2, -1.0),
}
"""Axis and direction of each key: arrows, page up and page down as terminals send them."""

EVENTS = {
    " ": OperatorEvent.STOP,
    "R": OperatorEvent.REARM,
    "t": OperatorEvent.TAKE_OVER,
    "h": OperatorEvent.HAND_BACK,
    "g": OperatorEvent.GRIPPER,
    "+": OperatorEvent.FASTER,
    "=": OperatorEvent.FASTER,
    "-": OperatorEvent.SLOWER,
    "n": OperatorEvent.NEXT,
    "r": OperatorEvent.AGAIN,
    "q": OperatorEvent.QUIT,
}
_KEY = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|.", re.DOTALL)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;]*|O)?$")


class Keyboard(Device):
    """Keys as an input device.

    Args:
        read: gives what was typed since it was last called, without waiting.
    """

    help = (
        "move w s (forward, back) a d (left, right) e c (up, down), or arrows and page up, down; turn u o i k j l; "
        "g gripper, + - speed, t take over, h hand back, space stop, R re-arm; a key moves for 0.15 s, so hold it"
    )

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._begun = ""  # of a key that comes in several characters
        self._seen = np.full(AXES, -np.inf)
        self._directions = np.zeros(AXES)

    def read(self, now: float) -> OperatorInput:
        text = self._begun + self._read()
        unfinished = _UNFINISHED.search(text)
        self._begun = unfinished.group() if unfinished else ""
        events, skills = [], []
        for key in _KEY.findall(text[: len(text) - len(self._begun)]):
            if key in MOTIONS:
                axis, self._directions[axis] = MOTIONS[key]
                self._seen[axis] = now
            elif key in EVENTS:
                events.append(EVENTS[key])
                if EVENTS[key] is OperatorEvent.STOP:
                    self._seen[:] = -np.inf
            elif key in "123456789":
                skills.append(int(key) - 1)
        held = now - self._seen <= HELD
        return OperatorInput(np.where(held, self._directions, 0.0), bool(held.any()), tuple(events), tuple(skills))

"""A gamepad by Linux' joystick interface, /dev/input/js*: records of 8 bytes, no library, no root (Documentation/input/
joydev of the kernel). Numbers of axes and buttons are those of an Xbox pad, which most drivers imitate."""

from __future__ import annotations

import struct

import numpy as np

from roman_moe.teleop.device import AXES, FileDevice, OperatorEvent, OperatorInput

RECORD = struct.Struct("<IhBB")  # time [ms], value, type, number
BUTTON, AXIS, INITIAL = 0x01, 0x02, 0x80
FULL = 32767.0
DEAD_ZONE = 0.1
"""Share of a stick's way that counts as its middle."""

DEAD_MAN = 4  # left shoulder
STICKS = {1: (0, -1.0), 0: (1, -1.0), 4: (2, -1.0), 3: (5, -1.0)}
"""Of the device's axes: left stick forward and left, right stick up, and the turn about the vertical."""
TRIGGERS = {2: (3, -1.0), 5: (3, 1.0)}
"""Axes that rest at -1: they roll the hand."""
HAT = {7: (OperatorEvent.FASTER, OperatorEvent.SLOWER)}
"""Its up and down, which are -1 and 1."""
BUTTONS = {
    0: OperatorEvent.GRIPPER,
    1: OperatorEvent.STOP,
    2: OperatorEvent.TAKE_OVER,
    3: OperatorEvent.HAND_BACK,
    5: OperatorEvent.NEXT,
    6: OperatorEvent.AGAIN,
    7: OperatorEvent.REARM,
}


class Gamepad(FileDevice):
    """A gamepad as an input device."""

    SIZE = 64 * RECORD.size
    help = (
        "hold the left shoulder button to move: left stick forward and sideways, right stick up, down and turn, "
        "triggers roll; A gripper, X take over, Y hand back, B stop, Start re-arm, up and down of the cross: speed"
    )

    def _release(self) -> None:
        self._axes: dict[int, float] = {}
        self._held = False
        self._rest = b""

    def read(self, now: float) -> OperatorInput:
        data = self._rest + b"".join(self.records(now))
        whole = len(data) // RECORD.size * RECORD.size
        data, self._rest = data[:whole], data[whole:]
        events = [event for record in RECORD.iter_unpack(data) for event in self._take(*record[1:])]
        axes = np.zeros(AXES)
        for number, (axis, sign) in STICKS.items():
            axes[axis] += sign * beyond_middle(self._axes.get(number, 0.0))
        for number, (axis, sign) in TRIGGERS.items():
            axes[axis] += sign * 0.5 * (1.0 + self._axes.get(number, -1.0))
        return OperatorInput(np.clip(axes, -1.0, 1.0) if self._held else np.zeros(AXES), self._held, tuple(events))

    def _take(self, value: int, kind: int, number: int) -> list[OperatorEvent]:
        """Take one record; what it does."""
        if kind & AXIS:
            before, now = self._axes.get(number, 0.0), max(-1.0, value / FULL)
            self._axes[number] = now
            if number in HAT and not kind & INITIAL and abs(now) > 0.5 >= abs(before):
                return [HAT[number][now > 0.0]]
            return []
        if not kind & BUTTON:
            return []
        if number == DEAD_MAN:
            self._held = bool(value) and not kind & INITIAL  # one that was held before we came is pressed anew
            return []
        return [BUTTONS[number]] if value and not kind & INITIAL and number in BUTTONS else []


def beyond_middle(value: float) -> float:
    """A stick's way beyond its middle, -1 to 1, without a jump at the edge of the middle."""
    way = max(0.0, abs(value) - DEAD_ZONE) / (1.0 - DEAD_ZONE)
    return way if value > 0.0 else -way

"""A SpaceMouse by /dev/hidraw*, without a driver. 3Dconnexion's reports, as public drivers read them: 1 is translation,
and rotation as well where it is 13 bytes long; 2 is rotation, 3 buttons. Numbers are int16, little endian, up to 350.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from roman_moe.teleop.device import AXES, DeviceError, FileDevice, OperatorEvent, OperatorInput
from roman_moe.teleop.gamepad import beyond_middle

FULL = 350.0
TRANSLATION, ROTATION, PRESSED = 1, 2, 3
BOTH = 13  # bytes of a translation report that has rotation, too
SILENCE = 0.3
"""After which a cap that was deflected counts as released [s]: the device repeats a deflection all the time."""
SIGNS = ((1, -1.0), (0, -1.0), (2, -1.0))
"""Of the device's x right, y towards the user and z down: x forward, y left, z up."""
BUTTONS = {0: OperatorEvent.GRIPPER, 1: OperatorEvent.TAKE_OVER}
VENDORS = ("046d", "256f")
"""Logitech, which once sold them, and 3Dconnexion."""


class SpaceMouse(FileDevice):
    """A SpaceMouse as an input device. Its cap, which springs back, is its dead-man."""

    SIZE = 64  # of a report
    _drives = False
    help = "push, lift and turn the cap: let go to rest; left button gripper, right button take over and hand back"

    def _release(self) -> None:
        self._cap = np.zeros(AXES)
        self._moved_at = -np.inf
        self._pressed = 0

    def read(self, now: float) -> OperatorInput:
        events: list[OperatorEvent] = []
        for report in self.records(now):
            events += self._take(report, now)
        if now - self._moved_at > SILENCE:
            self._cap[:] = 0.0
        axes = np.array([beyond_middle(share) for share in self._cap.tolist()])
        return OperatorInput(axes, bool(axes.any()), tuple(events))

    def _take(self, report: bytes, now: float) -> list[OperatorEvent]:
        kind = report[0] if report else 0
        if kind == PRESSED and len(report) >= 2:
            (pressed,) = struct.unpack("<H", (report[1:3] + b"\0")[:2])
            fresh, self._pressed = pressed & ~self._pressed, pressed
            return [self._take_over_or_back(event) for number, event in BUTTONS.items() if fresh & 1 << number]
        if kind in (TRANSLATION, ROTATION) and len(report) >= 7:
            self._moved_at = now
            first = 0 if kind == TRANSLATION else 3
            numbers = struct.unpack_from("<6h" if kind == TRANSLATION and len(report) >= BOTH else "<3h", report, 1)
            for begin in range(0, len(numbers), 3):
                for axis, (source, sign) in enumerate(SIGNS):
                    self._cap[first + begin + axis] = np.clip(sign * numbers[begin + source] / FULL, -1.0, 1.0)
        return []

    def _take_over_or_back(self, event: OperatorEvent) -> OperatorEvent:
        if event is not OperatorEvent.TAKE_OVER:
            return event
        self._drives = not self._drives
        return OperatorEvent.TAKE_OVER if self._drives else OperatorEvent.HAND_BACK


def find_space_mouse(root: Path = Path("/sys/class/hidraw")) -> Path:
    """Its file, by the vendor that the kernel tells.

    Raises:
        DeviceError: if there is none.
    """
    for entry in sorted(root.glob("hidraw*")):
        try:
            lines = (entry / "device" / "uevent").read_text(encoding="utf-8").lower().splitlines()
        except OSError:
            continue
        ids = next((line.split("=")[1].split(":") for line in lines if line.startswith("hid_id=")), [])
        if len(ids) == 3 and ids[1][-4:] in VENDORS:
            return Path("/dev") / entry.name
    raise DeviceError("no SpaceMouse is plugged in: expected one under /dev/hidraw*; name it with --device-file")

"""What an operator asks for, whatever the input device: a motion that lasts while a dead-man is held, and events.

Axes are those of the arm's base frame as the operator sees them who stands behind it: x forward, y left, z up, and
turns about them (REP 103).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import RomanError

AXES = 6
"""x, y, z [shares of the top speed], and turns about them [shares of the top angular speed]."""

RETRY = 1.0
"""Between two attempts to open a device that was unplugged [s]."""


class DeviceError(RomanError):
    """An input device cannot be used."""


class OperatorEvent(StrEnum):
    """What an operator does once, by a key or a button. The value is what a help line calls it."""

    STOP = "stop"
    REARM = "re-arm"
    TAKE_OVER = "take over"
    HAND_BACK = "hand back"
    GRIPPER = "gripper"
    FASTER = "faster"
    SLOWER = "slower"
    NEXT = "next episode"
    AGAIN = "record again"
    QUIT = "quit"


@dataclass(frozen=True, eq=False)
class OperatorInput:
    """What an operator asks for now.

    Attributes:
        axes: shares of the top speeds, (6,), -1 to 1.
        held: whether the dead-man is held; nothing moves otherwise.
        events: since the last call, in order.
        skills: that are to get the whole weight, since the last call, in order, by number from 0.
    """

    axes: NDArray[np.float64] = field(default_factory=lambda: np.zeros(AXES))
    held: bool = False
    events: tuple[OperatorEvent, ...] = ()
    skills: tuple[int, ...] = ()


class Device:
    """An input device. It never waits.

    Attributes:
        help: what its keys, sticks and buttons do, in one line.
        fault: why it gives nothing at present; empty if it works.
    """

    help: str
    fault = ""

    def read(self, now: float) -> OperatorInput:
        """What it asks for now, `now` of a clock that only runs forward [s], with what happened since the last call."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""


class FileDevice(Device):
    """A device whose file is read without waiting, and opened again after it was unplugged.

    Attributes:
        SIZE: the most that is read at once [bytes].

    Raises:
        DeviceError: with the reason, if it cannot be read.
    """

    SIZE: ClassVar[int]

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._retry_at = 0.0
        self.fault = ""
        self._open()
        if self.fault:
            raise DeviceError(self.fault)
        self._release()

    def _release(self) -> None:
        """Nothing is held: so it begins, also after it was unplugged."""

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            advice = ": is it plugged in?" if isinstance(error, FileNotFoundError) else ""
            if isinstance(error, PermissionError):
                advice = ": a udev rule or the group `input` gives you the right to read it (docs/teleop.md)"
            self.fault = f"{self._path}: cannot be read: {error.strerror}{advice}"
        else:
            self.fault = ""

    def records(self, now: float) -> list[bytes]:
        """What has come, as it was read: each a record or several; nothing while it is unplugged."""
        if self._descriptor is None:
            if now < self._retry_at:
                return []
            self._retry_at = now + RETRY
            self._open()
        came: list[bytes] = []
        while self._descriptor is not None:
            try:
                part = os.read(self._descriptor, self.SIZE)
            except BlockingIOError:
                break
            except OSError as error:
                self._lose(f"{self._path}: {error.strerror}", now)
                return []
            if not part:
                self._lose(f"{self._path}: it was unplugged", now)
                return []
            came.append(part)
        return came

    def _lose(self, why: str, now: float) -> None:
        self.close()
        self.fault, self._retry_at = f"{why}: plug it in again", now + RETRY
        self._release()

    def close(self) -> None:
        """See `Device`; a later `wish` opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

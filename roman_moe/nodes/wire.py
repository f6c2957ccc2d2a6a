"""Reads a MultiDOFJointState straight from its serialized bytes: each tick's scene has eight readers of its numbers.

rclpy makes some 110 Python objects of one scene (0.2 ms); all but stamp and numbers are the same in every message.
So the first good message is decoded in full, and a later one whose names are the same bytes is read in place (10 us).
Any other takes the full way, and its errors with it.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message

from roman_moe.core.messages import Bodies, MessageError
from roman_moe.core.state import NANOSECONDS

_PLAIN_CDR_LITTLE_ENDIAN = b"\0\1"
_STAMP_END = 12  # 4 bytes of encapsulation, seconds (int32), nanoseconds (uint32)
_ROWS = (7, 6, 6)  # float64 of a Transform, Twist, Wrench
_LENGTH = 8  # a sequence's length (uint32) and its padding to float64


def serialized_stamp(data: bytes) -> int:
    """Stamp [ns] of a serialized message that begins with a std_msgs/Header.

    Raises:
        MessageError: if it is too short for one, or its nanoseconds make up a second or more.
    """
    if len(data) < _STAMP_END:
        raise MessageError(f"message of {len(data)} bytes: expected one with a stamp")
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    if nanoseconds >= NANOSECONDS:
        raise MessageError(f"stamp has nanosec {nanoseconds}: expected less than {NANOSECONDS}")
    return int(seconds) * NANOSECONDS + int(nanoseconds)


class BodiesReader:
    """Reads the serialized messages of one topic.

    Args:
        topic: its name, for errors.
        kind: rclpy's class of MultiDOFJointState.
        names: that every message must have, in order.
    """

    def __init__(self, topic: str, kind: Any, names: tuple[str, ...]) -> None:
        self._topic, self._kind, self._names = topic, kind, names
        self._sizes = tuple(len(names) * row * 8 for row in _ROWS)
        self._numbers = sum(self._sizes) + 2 * _LENGTH
        self._frame = b""  # everything between stamp and numbers in a good message

    def __call__(self, data: bytes) -> Bodies:
        """The message's bodies.

        Raises:
            MessageError: naming what differs from what is expected.
        """
        start = len(data) - self._numbers
        frame = data[_STAMP_END:start] if start > _STAMP_END else b""
        if not self._frame or frame != self._frame or data[:2] != _PLAIN_CDR_LITTLE_ENDIAN:
            bodies = Bodies.of(self._topic, deserialize_message(data, self._kind), self._names)
            if data[:2] == _PLAIN_CDR_LITTLE_ENDIAN:
                self._frame = frame
            return bodies
        count = len(self._names)
        parts: list[NDArray[np.float64]] = []
        for size, row in zip(self._sizes, _ROWS, strict=True):
            if parts:
                self._check_length(struct.unpack_from("<I", data, start)[0])
                start += _LENGTH
            parts.append(np.frombuffer(data, "<f8", count * row, start).reshape(count, row)[:, :3])
            start += size
        return Bodies(serialized_stamp(data), *parts)

    def _check_length(self, found: int) -> None:
        if found != len(self._names):
            raise MessageError(f"{self._topic}: {found} entries in twist or wrench: expected {len(self._names)}")

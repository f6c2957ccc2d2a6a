"""Messages as bytes, written and read in place: the control path's way around the 110 Python objects of a scene.

All but stamp and numbers is the same in every message of a topic. So the first is converted in full by rclpy (0.2 to
0.4 ms a scene), and only stamp and numbers of later ones are written or read (10 us). A message whose other bytes
differ in any way is decoded in full again, and refused as that refuses it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message, serialize_message

from roman_moe.core.state import NANOSECONDS
from roman_moe.wire.bodies import Bodies, MessageError
from roman_moe.wire.codec import STAMP_END, message_stamp, read_bodies, serialized_stamp

_PLAIN_CDR_LITTLE_ENDIAN = b"\0\1"
_ROWS = (7, 6, 6)  # float64 of a Transform, Twist, Wrench
_LENGTH = 8  # a sequence's length (uint32) and its padding to float64


class _Layout:
    """Where the numbers of `count` bodies are: at the very end, transforms before twists before wrenches."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._sizes = tuple(count * row * 8 for row in _ROWS)
        self.size = sum(self._sizes) + 2 * _LENGTH

    def views(self, data: bytes | bytearray, start: int) -> list[NDArray[np.float64]]:
        """Translations, velocities, forces, rotations and turns as views of `data`, in the order of `Bodies`."""
        rows = []
        for size, row in zip(self._sizes, _ROWS, strict=True):
            rows.append(np.frombuffer(data, "<f8", self.count * row, start).reshape(self.count, row))
            start += size + _LENGTH
        transforms, twists, wrenches = rows
        return [transforms[:, :3], twists[:, :3], wrenches[:, :3], transforms[:, 3:], twists[:, 3:]]

    def lengths(self, data: bytes, start: int) -> tuple[int, int]:
        """How many twists and wrenches the message says that it has."""
        second = start + self._sizes[0]
        third = second + _LENGTH + self._sizes[1]
        return struct.unpack_from("<I", data, second)[0], struct.unpack_from("<I", data, third)[0]


class BodiesReader:
    """Reads the serialized messages of one topic.

    Args:
        names: that every message must have, in order.
    """

    def __init__(self, topic: str, kind: Any, names: tuple[str, ...]) -> None:
        self._topic, self._kind, self._names = topic, kind, names
        self._layout = _Layout(len(names))
        self._frame = b""  # everything between stamp and numbers in a good message

    def __call__(self, data: bytes) -> Bodies:
        """The message's bodies.

        Raises:
            MessageError: naming what differs from what is expected.
        """
        start = len(data) - self._layout.size
        if start <= STAMP_END or not self._frame or data[STAMP_END:start] != self._frame:
            return self._read_in_full(data, start)
        lengths = self._layout.lengths(data, start)
        if data[:2] != _PLAIN_CDR_LITTLE_ENDIAN or lengths != (self._layout.count,) * 2:
            return self._read_in_full(data, start)
        return Bodies(serialized_stamp(data), *self._layout.views(data, start))

    def _read_in_full(self, data: bytes, start: int) -> Bodies:
        bodies = read_bodies(self._topic, deserialize_message(data, self._kind), self._names)
        if start > STAMP_END and data[:2] == _PLAIN_CDR_LITTLE_ENDIAN:
            views = self._layout.views(data, start)
            if all(np.array_equal(view, row, equal_nan=True) for view, row in zip(views, _rows(bodies), strict=True)):
                self._frame = data[STAMP_END:start]
        return bodies


@dataclass(frozen=True, slots=True)
class Numbers:
    """Messages that differ in stamp and one run of numbers alone, such as an expert's actions.

    Attributes:
        count: of the numbers (float64).
        encode: makes rclpy's message of numbers, (count,).
        decode: numbers, (count,), of rclpy's message; raises a MessageError for any that `encode` would not make.
    """

    count: int
    encode: Callable[[NDArray[np.float64]], Any]
    decode: Callable[[Any], NDArray[np.float64]]

    def template(self) -> tuple[bytes, int]:
        """A serialized message, and where its numbers begin."""
        marks = _marks(self.count)
        data = _serialized(self.encode(marks))
        start = data.find(marks.tobytes())
        if start < 0:
            raise MessageError("this ROS does not serialize the numbers of a message one behind the other")
        return data, start


class NumbersWriter:
    """Writes messages that are `Numbers`."""

    def __init__(self, numbers: Numbers) -> None:
        self._template, self._start = numbers.template()
        self._format = f"<{numbers.count}d"

    def __call__(self, stamp_ns: int, numbers: Sequence[float] | NDArray[np.float64]) -> bytes:
        """The message of these numbers, (count,)."""
        data = bytearray(self._template)
        struct.pack_into(self._format, data, self._start, *numbers)
        return _stamped(data, stamp_ns)


class NumbersReader:
    """Reads serialized messages that are `Numbers`."""

    def __init__(self, kind: Any, numbers: Numbers) -> None:
        self._kind, self._numbers = kind, numbers
        _, self._start = numbers.template()
        self._end = self._start + 8 * numbers.count
        self._format = f"<{numbers.count}d"
        self._frame: tuple[bytes, ...] = ()  # all but stamp and numbers, in a message that `encode` could have made

    def __call__(self, data: bytes) -> tuple[int, NDArray[np.float64]]:
        """Stamp [ns] and numbers, (count,), of a message.

        Raises:
            MessageError: naming what differs from what is expected.
        """
        if (data[:4], data[STAMP_END : self._start], data[self._end :]) != self._frame:
            return self._read_in_full(data)
        return serialized_stamp(data), np.array(struct.unpack_from(self._format, data, self._start))

    def _read_in_full(self, data: bytes) -> tuple[int, NDArray[np.float64]]:
        message = deserialize_message(data, self._kind)
        stamp, values = message_stamp(message), self._numbers.decode(message)
        usual = self._numbers.encode(values)
        usual.header.stamp = message.header.stamp
        if message == usual and data[:2] == _PLAIN_CDR_LITTLE_ENDIAN:
            # not of a message of our own: what is in the padding differs from sender to sender
            self._frame = data[:4], data[STAMP_END : self._start], data[self._end :]
        return stamp, values


class BodiesWriter:
    """Writes the MultiDOFJointStates of one topic."""

    def __init__(self, names: tuple[str, ...], to_message: Callable[[Sequence[str], Bodies], Any]) -> None:
        count = len(names)
        self._layout = _Layout(count)
        marks = np.split(_marks(16 * count).reshape(count, 16), (3, 6, 9, 13), axis=1)
        self._template = _serialized(to_message(names, Bodies(0, *marks)))
        self._start = len(self._template) - self._layout.size
        views = self._layout.views(self._template, self._start)
        if not all(map(np.array_equal, views, marks)):
            raise MessageError("this ROS does not serialize a MultiDOFJointState with its numbers at the end")

    def __call__(self, bodies: Bodies) -> bytes:
        """The message of these bodies."""
        data = bytearray(self._template)
        for view, numbers in zip(self._layout.views(data, self._start), _rows(bodies), strict=True):
            view[:] = numbers
        return _stamped(data, bodies.stamp_ns)


def _rows(bodies: Bodies) -> tuple[NDArray[np.float64], ...]:
    """Its numbers, in the order of `_Layout.views`."""
    return bodies.translations, bodies.velocities, bodies.forces, bodies.rotations, bodies.turns


def _marks(count: int) -> NDArray[np.float64]:
    """Numbers that no message has by chance."""
    return np.pi * np.arange(1.0, count + 1.0)


def _serialized(message: Any) -> bytes:
    data: bytes = serialize_message(message)
    if data[:2] != _PLAIN_CDR_LITTLE_ENDIAN:
        raise MessageError(f"this ROS serializes as {data[:2].hex()}: expected plain little-endian CDR, 0001")
    return data


def _stamped(data: bytearray, stamp_ns: int) -> bytes:
    struct.pack_into("<iI", data, 4, *divmod(stamp_ns, NANOSECONDS))
    return bytes(data)

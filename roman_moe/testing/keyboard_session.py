"""A person at the keyboard of `roman-moe teleop`, in a process of its own, who sees every command and when it came."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.context import Context
from rclpy.node import Node

from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.nodes.base.environment import ros_environment
from roman_moe.nodes.base.process import make_executor, ros_context
from roman_moe.nodes.base.topics import TICK, TWIST_COMMAND
from roman_moe.testing.terminal import Terminal
from roman_moe.wire.codec import BlenderTick, decode_tick, decode_twist, message_stamp

REPEAT = 0.03  # [s] between two characters of a key that is held
TIMEOUT = 60.0  # [s]


class Session:
    """A person at the keyboard who sees every command."""

    def __init__(self, bundle: Path, stack: ExitStack) -> None:
        stack.enter_context(ros_environment(separate=True, private=True))
        context: Context = stack.enter_context(ros_context())
        self._executor = make_executor(context)
        stack.callback(self._executor.shutdown)
        node = Node("bench", context=context)
        stack.callback(node.destroy_node)
        self._executor.add_node(node)
        self.ticks: list[BlenderTick] = []
        self._received: list[tuple[float, TwistStamped]] = []
        node.create_subscription(TICK.kind, TICK.name, lambda m: self.ticks.append(decode_tick(m)), TICK.qos)
        node.create_subscription(TWIST_COMMAND.kind, TWIST_COMMAND.name, self._on_twist, TWIST_COMMAND.qos)
        self._terminal = stack.enter_context(Terminal("teleop", "--arm", "mock", "--bundle", str(bundle)))
        self.spin_until(lambda: self.ticks and self.last.command.moves)

    def _on_twist(self, message: TwistStamped) -> None:
        self._received.append((time.monotonic(), message))

    @property
    def last(self) -> BlenderTick:
        return self.ticks[-1]

    def press(self, keys: str) -> float:
        """Press keys; when [s]."""
        self._terminal.type(keys)
        return time.monotonic()

    def spin_until(self, condition: Callable[[], object], key: str = "", timeout: float = TIMEOUT) -> bool:
        """Let time pass until something holds, while a key is held.

        Raises:
            RomanError: if it does not within `TIMEOUT`; a shorter timeout just ends.
        """
        began = pressed = time.monotonic()
        while not condition():
            now = time.monotonic()
            if now - began > timeout:
                if timeout == TIMEOUT or not self._terminal.runs:
                    raise RomanError(f"teleop: nothing within {timeout:.0f} s: {self._terminal.shown[-300:]}")
                return False
            if key and now - pressed > REPEAT:
                pressed = self.press(key)
            self._executor.spin_once(0.002)
            self._terminal.read()
        return True

    def hold(self, key: str, seconds: float) -> None:
        """Hold a key for some time, or none."""
        self.spin_until(lambda: False, key, seconds)

    def delay(self, pressed: float, came: Callable[[BlenderTick], bool], key: str = "") -> float:
        """From a key to the first command that shows it [ms]; a scene may be answered again, by another command."""
        first = len(self.ticks)
        self.spin_until(lambda: any(map(came, self.ticks[first:])), key)
        command = next(tick.command for tick in self.ticks[first:] if came(tick))

        def times() -> list[float]:
            return [when for when, message in self._received if when >= pressed and _is(message, command)]

        self.spin_until(times)
        return 1e3 * (times()[0] - pressed)


def _is(message: TwistStamped, command: Command) -> bool:
    same = message_stamp(message) == command.stamp_ns
    return same and bool(np.array_equal(decode_twist(message), command.twist))

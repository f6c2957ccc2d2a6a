"""The time of an emulated robot: this machine's, or one that goes as fast as the graph keeps up, and no faster.

With `ElasticPace` nothing depends on how fast the machine is: while a node still works on a control tick, no time goes
by. A graph that has fallen silent is waited for, for `PATIENCE`; then time goes on slowly, so that its timeouts come.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from servo_emulator import Servo

from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.base.topics import CLOCK, CODEC, TWIST_COMMAND
from roman_moe.wire.codec import message_stamp

CATCH_UP = 5  # periods at most that are made up for at once, on a busy machine
PATIENCE = 5.0  # [s] of wall time for which a silent graph is waited for
SLOWLY = 5  # s of wall time for a simulated one while nobody commands: scenes that overlap would go unanswered
REPEAT = 0.1  # [s] of wall time after which /clock is sent again: it is best effort
COMMAND_AGE = 0.07  # [s] that the graph's last command may have: a control period, and less than the blender's deadline
TWIST_AGE = 0.05  # [s] that the twist may have that Servo follows: the bridge repeats it after 0.025


class Pace(Protocol):
    """When the robot's next periods are due."""

    def periods(self) -> int:
        """How many periods are due now."""
        ...

    def advance(self) -> None:
        """A period begins."""
        ...

    def wait(self, executor: Executor) -> None:
        """Let the robot's nodes work until the next period is due."""
        ...

    def report(self) -> dict[str, Any]:
        """What has become of it."""
        ...


class WallPace:
    """This machine's time; a robot that is late makes up for some periods."""

    def __init__(self, rate: float) -> None:
        self._rate, self._due = rate, time.monotonic()

    def periods(self) -> int:
        """How many periods are due now."""
        periods = min(CATCH_UP, 1 + int(max(0.0, time.monotonic() - self._due) * self._rate))
        self._due = max(self._due + periods / self._rate, time.monotonic())
        return periods

    def advance(self) -> None:
        """Time goes on by itself."""

    def wait(self, executor: Executor) -> None:
        """Let the robot's nodes work until the next period is due."""
        while (left := self._due - time.monotonic()) > 0.0:
            executor.spin_once(timeout_sec=left)
        executor.spin_once(timeout_sec=0.0)

    def report(self) -> dict[str, Any]:
        """Nothing."""
        return {}


class ElasticPace:
    """Simulated time, as /clock: it waits for the graph's command of each tick, and for the twist that Servo follows.

    Until the graph's first command, and from the end of `PATIENCE` to the next, it goes `SLOWLY`.

    Args:
        context: of the robot's nodes.
        rate: periods in a second.
        servo: that moves the robot.
        nodes: whose clocks follow at once.
    """

    def __init__(self, context: Any, rate: float, servo: Servo, nodes: Sequence[Node]) -> None:
        self.node = Node("simulated_clock", context=context)
        self._publisher = self.node.create_publisher(CLOCK.kind, CLOCK.name, CLOCK.qos)
        self.node.create_subscription(TWIST_COMMAND.kind, TWIST_COMMAND.name, self._on_command, TWIST_COMMAND.qos)
        self._nodes, self._servo = nodes, servo
        self._period_ns = round(NANOSECONDS / rate)
        self._now_ns = 0
        self._began = self._moved = time.monotonic()
        self._command_ns: int | None = None  # stamp of the graph's last command
        self._alone = True  # nobody commands
        self._silences = 0

    def _on_command(self, message: Any) -> None:
        stamp = message_stamp(message)
        if self._command_ns is None or stamp > self._command_ns:
            self._command_ns, self._alone = stamp, False

    def periods(self) -> int:
        """One after the other."""
        return 1

    def advance(self) -> None:
        """A period begins: for the robot's nodes at once, for the others as /clock."""
        self._now_ns += self._period_ns
        self._moved = time.monotonic()
        now = Time(nanoseconds=self._now_ns, clock_type=self._nodes[0].get_clock().clock_type)
        for node in self._nodes:
            node.get_clock().set_ros_time_override(now)  # type: ignore[attr-defined]
        self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        self._publisher.publish(Clock(clock=CODEC.time(self._now_ns)))

    def wait(self, executor: Executor) -> None:
        """Let the robot's nodes work until the graph has kept up, or has been silent for too long."""
        executor.spin_once(timeout_sec=0.0)
        while not self._due():
            executor.spin_once(timeout_sec=0.002)
            now = time.monotonic()
            if now - self._told > REPEAT:
                self._tell()
            if now - self._moved > PATIENCE:
                self._silences += 1
                self._alone = True

    def _due(self) -> bool:
        if self._alone or self._command_ns is None:
            return time.monotonic() - self._moved >= SLOWLY * self._period_ns / NANOSECONDS
        kept_up = self._now_ns - self._command_ns < COMMAND_AGE * NANOSECONDS
        return kept_up and not (self._servo.moves and self._now_ns - self._servo.stamp_ns >= TWIST_AGE * NANOSECONDS)

    def report(self) -> dict[str, Any]:
        """Wall time since the beginning [s], and how often the graph was silent."""
        return {"wall_s": round(time.monotonic() - self._began, 1), "silences": self._silences}

"""The mock arm as a node: keeps an arm's contract in real time, without physics; for trying the graph alone."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.clock import FUTURE_TOLERANCE_NS, PacedClock, TickStamps, misfit
from roman_moe.arms.mock import MockArm
from roman_moe.core.action import hold
from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.base.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.parameters import TaskParameters
from roman_moe.nodes.base.topics import GRIPPER, GRIPPER_COMMAND, STOPPED, TRUTH_POSES, TWIST_COMMAND
from roman_moe.nodes.control.commanders import REFUSED, TOO_SLOW, Commanders
from roman_moe.wire.codec import command_of

POLL_PERIOD = 0.005  # [s] between two looks at the clock: by so much a tick may be late


class MockArmNode(RomanNode):
    """Plays an arm that goes where it is told."""

    NAME = "mock_arm"
    PARAMETERS = TaskParameters
    _settings: TaskParameters

    def configure(self) -> None:
        self._spec, rates = self._settings.spec(), self._settings.rates()
        self._period_ns = round(NANOSECONDS / rates.control_rate)
        self._stamps = TickStamps(self._period_ns * rates.gate_divider)

    def activate(self) -> None:
        self._arm = MockArm(self._spec, self._period_ns)
        self._twist: NDArray[np.float64] | None = None  # commanded for the present tick
        self._target = self._spec.gripper.open
        self._stopped = False
        self._commanders = Commanders(self)
        self._publish_hand = self.advertise_hand(self._spec)
        self._publish_truth = self.advertise_poses(TRUTH_POSES, self._spec)
        self.listen_twist(self._spec, self._on_twist)
        self.listen_numbers(GRIPPER_COMMAND, GRIPPER, self._on_gripper)
        self.listen(STOPPED, self._on_stopped, lambda message: message.data)
        now_ns = self.get_clock().now().nanoseconds
        self._arm_time = PacedClock(now_ns, time.monotonic())
        self._stamp = self._stamps.begin(now_ns)  # of the present state
        self.timer(POLL_PERIOD, self._on_poll)
        self.diagnostics.state(WARN, f"{WAITING}a command")

    def _is_for_now(self, topic: str, stamped: tuple[int, NDArray[np.float64]]) -> bool:
        if not self._commanders.accepts(topic, stamped) or self._commanders.in_conflict or self._stopped:
            return False
        latest = max(self._stamp, self._arm_time.now_ns(time.monotonic())) + FUTURE_TOLERANCE_NS
        wrong = misfit(stamped[0], self._stamp, latest)
        if wrong:
            advice = f"; {TOO_SLOW}" if stamped[0] < self._stamp else ""
            self.diagnostics.count(REFUSED, f"{topic} at {stamped[0]} ns {wrong}{advice}")
        return not wrong

    def _on_stopped(self, stopped: bool) -> None:
        """Whether the blender's software stop holds: then the arm follows nobody's commands."""
        self._stopped, self._twist = stopped, None

    def _on_twist(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        if self._is_for_now(TWIST_COMMAND.name, stamped):
            self._twist = stamped[1]

    def _on_gripper(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        if self._is_for_now(GRIPPER_COMMAND.name, stamped):
            self._target = float(stamped[1][0])

    def _on_poll(self) -> None:
        own, now_ns = self._arm.stamp_ns + self._period_ns, self._arm_time.now_ns(time.monotonic())
        due = self._stamps.stamp(own)
        if now_ns - due > self._period_ns:  # a busy machine: no tick is hurried
            due = self._stamps.postpone(own, now_ns)
        if now_ns >= due:
            self._on_period(due)

    def _on_period(self, next_stamp: int) -> None:
        """A period is over: the arm moves as commanded, or stands still, and says where it is."""
        if self._commanders.in_conflict:
            self._arm.step(hold(self._stamp, self._target))  # who they are, the commanders' watch has said
        elif self._twist is not None:
            self._arm.step(command_of(self._stamp, self._twist, self._target))
            self.diagnostics.state(OK, "following commands")
        else:
            self._arm.step(hold(self._stamp, self._target))
            why = "stopped" if self._stopped else f"no command for {self._stamp} ns"
            self.diagnostics.state(WARN, f"standing still: {why}")
        self._twist, self._stamp = None, next_stamp
        self._publish_hand(dataclasses.replace(self._arm.hand, stamp_ns=next_stamp))
        self._publish_truth(dataclasses.replace(self._arm.objects, stamp_ns=next_stamp))

"""A watch before a robot, driven by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
from specs import HOME_POSITION, ROMAN

from roman_moe.arms.command_watchdog import CommandWatchdog
from roman_moe.arms.kept_orientation import HandPose
from roman_moe.control.guard import GuardStatus
from roman_moe.control.limits import Limits, load_limits
from roman_moe.core.spec import TaskSpec
from roman_moe.core.spec_parts import ActionSpec
from roman_moe.core.state import POINTING_DOWN

PERIOD = 0.05
START_NS = 1_795_000_000_000_000_000


def twist(*numbers: float) -> np.ndarray:
    """Linear [m/s], then angular velocity [rad/s]; zero where it is not given."""
    return np.array([*numbers, *[0.0] * (6 - len(numbers))])


FORWARD, REST = twist(0.05), twist()
HAND = HandPose(HOME_POSITION, POINTING_DOWN)
TURNING = dataclasses.replace(ROMAN, action=ActionSpec(top_speed=0.2, angular=("rx", "ry", "rz")))


class Harness:
    """A watch whose two clocks are turned by hand."""

    def __init__(self, limits: Limits | None = None, spec: TaskSpec = ROMAN) -> None:
        self.watchdog = CommandWatchdog(limits or load_limits(), PERIOD, halt_messages=3, spec=spec)
        self.now_ns, self.now, self.hand = START_NS, 100.0, HAND

    def wait(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)
        self.now += seconds

    def take(self, wanted: np.ndarray = FORWARD, age: float = 0.0) -> GuardStatus | None:
        stamp = self.now_ns - round(age * 1e9)
        return self.watchdog.take(stamp, wanted, self.hand, self.now_ns, self.now)

    def output(self) -> np.ndarray | None:
        return self.watchdog.output(self.now_ns, self.now)

    def move(self, ticks: int = 20) -> None:
        for _ in range(ticks):
            self.wait(PERIOD)
            assert self.take() is None
            assert self.output() is not None

    def halt(self) -> list[np.ndarray]:
        """All that is still sent."""
        sent = []
        while (velocity := self.output()) is not None:
            sent.append(velocity)
            self.wait(0.025)
            assert len(sent) < 20
        return sent
